"""What pages of the site take from the code: options, installed plugins, and the tree of errors.

A hook of mkdocs. Where a page says ``<!-- generated: NAME -->`` stands what the code says, so that
no copy of it can fall behind.
"""

from __future__ import annotations

import argparse
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.exceptions import PluginError

from promptfront.search import errors
from promptfront.search.cli import parser
from promptfront.search.data import task_file
from promptfront.search.plugins import available, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_MARK = re.compile(r"^<!-- generated: (.+?) -->$", re.MULTILINE)
_SENTENCE = re.compile(r"(.+?[.?:])(?=\s[A-Z]|\s*$)", re.DOTALL)
_UNTITLED = ("options", "positional arguments")
"""What argparse itself calls the options of no group."""
_OUTSIDE = re.compile(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"?(?:https?:)?//[^>]*>")
_ROOT = Path(__file__).parents[1]
_ROLE = re.compile(r"``(.+?)``", re.DOTALL)


def on_page_markdown(markdown: str, **_: Any) -> str:  # noqa: ANN401 (what mkdocs passes)
    """Return a page with what the code says in the place of each mark."""
    return _MARK.sub(lambda mark: GENERATED[mark[1]](), markdown)


def on_post_page(output: str, **_: Any) -> str:  # noqa: ANN401 (what mkdocs passes)
    """Refuse a page that loads anything from elsewhere.

    Raises
    ------
    PluginError
        With what it would load.
    """
    if found := _OUTSIDE.search(output):
        raise PluginError(f"a page loads something from elsewhere: {found[0]}")
    return output


def command_line() -> str:
    """Return each command of `optimize` with its options in tables."""
    return "\n\n".join(
        "\n\n".join(_command(name, help_text, command))
        for name, help_text, command in _subcommands()
    )


def _subcommands() -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    root = parser._parser()
    (commands,) = (one for one in root._actions if isinstance(one, argparse._SubParsersAction))
    for shown in commands._choices_actions:
        yield shown.dest, shown.help or "", commands.choices[shown.dest]


def _command(name: str, text: str, command: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## `optimize {name}`"
    yield f"{_cell(text[:1].upper() + text[1:])}."
    titled = any(group.title not in _UNTITLED for group in command._action_groups)
    groups = sorted(command._action_groups, key=lambda group: titled and group.title in _UNTITLED)
    for group in groups:
        actions = [one for one in group._group_actions if not isinstance(one, argparse._HelpAction)]
        if actions:
            title = "other" if group.title in _UNTITLED else str(group.title)
            if titled:
                yield f"**{title[:1].upper() + title[1:]}**"
            yield _table(("option", "what it says"), ((_flag(one), _help(one)) for one in actions))


def _flag(action: argparse.Action) -> str:
    """Return an option with what follows it, as `--budget N`."""
    values = f"{{{','.join(action.choices)}}}" if action.choices else ""
    value = action.metavar if isinstance(action.metavar, str) else values
    if not action.option_strings:
        return f"`{value or action.dest}`"
    takes = action.nargs != 0 and not isinstance(action, argparse.BooleanOptionalAction)
    text = ", ".join(action.option_strings)
    if not takes:
        return f"`{text}`"
    optional = f"[{value}]" if action.nargs == "?" else value
    return f"`{text} {optional}{' ...' if action.nargs == '+' else ''}`"


def _help(action: argparse.Action) -> str:
    text = action.help or ""
    if not action.option_strings and action.choices:
        text = text or f"one of {', '.join(action.choices)}"
    return _cell(text)


def plugins(group: str) -> str:
    """Return what promptfront itself installs under a group, by name."""
    points = available(f"promptfront.{group}").items()
    names = [name for name, point in points if point.dist and point.dist.name == "promptfront"]
    made = {name: load(f"promptfront.{group}", name) for name in names}
    if group == "tasks":
        rows = [(f"`{name}`", _cell(getattr(one, "source", ""))) for name, one in made.items()]
        return _table(("task", "its rows"), rows)
    if group == "mutators":
        genes = {name: str(getattr(one, "gene", "")) for name, one in made.items()}
        ordered = sorted(made, key=lambda name: (genes[name], name))
        lines = [(f"`{name}`", genes[name], _first(made[name])) for name in ordered]
        return _table(("mutator", "gene", "what it does"), lines)
    rows = [(f"`{name}`", _first(one)) for name, one in made.items()]
    return _table((group.removesuffix("s"), "what it is"), rows)


def _first(thing: object) -> str:
    """Return the first sentence of a docstring."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    found = _SENTENCE.match(text)
    sentence = (found[1] if found else text).removeprefix("Return ")
    return _cell(sentence[:1].upper() + sentence[1:])


def error_tree() -> str:
    """Return the tree of exceptions with their exit codes."""
    return _table(("exception", "exit code", "what it means"), _errors(errors.PromptfrontError, 0))


def _errors(error: type[errors.PromptfrontError], depth: int) -> Iterator[tuple[str, ...]]:
    indent = "&nbsp;" * 4 * depth
    yield f"{indent}`{error.__name__}`", str(error.exit_code), _first(error)
    for one in error.__subclasses__():
        yield from _errors(one, depth + 1)


def task_file_keys() -> str:
    """Return the keys that a task file may have."""
    return ", ".join(f"`{key}`" for key in task_file._KEYS)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [[*head], *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """Return a text as a cell may hold it."""
    text = _ROLE.sub(r"`\1`", " ".join(text.split()))
    return text.replace("%%", "%").replace("|", "\\|").replace("<", "&lt;")


def copied(path: str) -> str:
    """Return a file of the repository without its title, with links that lead into the site."""
    text = (_ROOT / path).read_text("utf-8").partition("\n")[2]
    return text.replace("](benchmarks/RESULTS.md", "](results.md")


GENERATED: dict[str, Callable[[], str]] = {
    "changelog": lambda: copied("CHANGELOG.md"),
    "command line": command_line,
    "errors": error_tree,
    "results": lambda: copied("benchmarks/RESULTS.md"),
    "mutators": lambda: plugins("mutators"),
    "scorers": lambda: plugins("scorers"),
    "task file keys": task_file_keys,
    "tasks": lambda: plugins("tasks"),
}
"""What a page may ask for."""
