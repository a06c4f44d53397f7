"""The words of the `optimize` command: its commands and their options."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from ..options import DEFAULT_STORAGE, MARGIN, SHAPLEY_SAMPLES
from .command_name import command_name
from .search_options import Adder, add_model, add_run, json_option, option
from .streams import say, tell

COMMANDS = ("run", "frontier", "explain", "report", "export", "verify", "gate", "list", "doctor")
_GROUPS = ("tasks", "mutators", "scorers", "backends")


class _Parser(argparse.ArgumentParser):
    """One sentence and exit code 2, without the usage dump."""

    def error(self, message: str) -> NoReturn:
        tell(f"{command_name()}: error: {message} (see `{self.prog} --help`)")
        raise SystemExit(2)

    def print_help(self, file: Any = None) -> None:  # noqa: ANN401 (any text stream)
        say(self.format_help(), end="") if file is None else super().print_help(file)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version

        say(f"promptfront {version('promptfront')}")
        parser.exit()


def parse(words: list[str]) -> argparse.Namespace:
    """Return the options of a command line.

    A misspelt one ends the process with one sentence and exit code 2.
    """
    parser = _parser()
    options, unknown = parser.parse_known_args(words)
    if unknown:
        command = _commands(parser)[options.command]
        command.error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


def flags() -> dict[str, str]:
    """Return the flags of all commands by the names of their options."""
    return {
        action.dest: next(flag for flag in action.option_strings if flag.startswith("--"))
        for command in _commands(_parser()).values()
        for action in command._actions
        if action.option_strings
    }


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (commands,) = [
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    ]
    return dict(commands.choices)


def _parser() -> argparse.ArgumentParser:
    name = command_name()
    parser = _Parser(
        prog=name,
        description="Search for a better, shorter prompt for your model.",
        epilog=f"The options of a search are in `{name} run --help`.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text)

    run = command("run", "search (the default: `optimize --task sentiment --budget 200`)")
    add_run(run)
    _add_study(run)
    _add_study(command("frontier", "show the Pareto front of a study"))
    _add_explain(command("explain", "show what each part of a prompt is worth, by leaving it out"))
    _add_report(command("report", "write a report on a study as one HTML file"))
    _add_export(command("export", "write a prompt of the Pareto front to a file"))
    _add_verify(
        command("verify", "score an exported prompt again; exit code 1 if its score differs")
    )
    _add_gate(
        command("gate", "check that a new prompt is no worse than an old one; exit code 0, 1 or 3")
    )
    _add_list(command("list", "list what is installed, plugins included"))
    _add_doctor(command("doctor", "check the installation, and a backend's speed and accuracy"))
    return parser


def _add_study(parser: argparse.ArgumentParser) -> None:
    option(
        parser,
        "--storage",
        "URL",
        f"database URL (default: {DEFAULT_STORAGE})",
        default=DEFAULT_STORAGE,
    )
    option(
        parser,
        "--study",
        "NAME",
        "name of the study (default: a search derives it from its options, other commands take "
        "the latest study)",
    )
    json_option(parser)


def _pick(to: Adder) -> None:
    text = "which prompt: best, knee, shortest or a trial number (default: best)"
    option(to, "--pick", "WHICH", text, default="best")


def _add_explain(explain: argparse.ArgumentParser) -> None:
    _add_study(explain)
    _pick(explain)
    explain.add_argument(
        "--split",
        choices=("dev", "test"),
        default="dev",
        help="which rows to score: dev (the default, with the confirmation rows) or test",
    )
    option(explain, "--rows", "N", "score at most N of these rows (default: all)", type=int)
    option(
        explain,
        "--shapley",
        "N",
        f"also estimate Shapley values from N subsets of the parts ({SHAPLEY_SAMPLES} without N)",
        type=int,
        nargs="?",
        const=SHAPLEY_SAMPLES,
        default=0,
    )
    option(
        explain, "--row", "N", "also show which words of the N-th of these rows matter", type=int
    )


def _add_report(report: argparse.ArgumentParser) -> None:
    _add_study(report)
    _pick(report)
    text = "the file to write (default: report.html)"
    report.add_argument("-o", "--output", metavar="FILE", default="report.html", help=text)
    report.add_argument(
        "--no-rows",
        action="store_true",
        help="leave out all data: rows, answers, and the examples in prompts",
    )
    report.add_argument(
        "--compare",
        nargs="+",
        default=[],
        metavar="STUDY",
        help="put several studies of the same rows, such as studies of other models, on one page",
    )
    report.add_argument(
        "--cross",
        action="store_true",
        help="with --compare: each model also scores the best prompts of the others",
    )


def _add_export(export: argparse.ArgumentParser) -> None:
    _add_study(export)
    export.add_argument(
        "-o", "--output", metavar="FILE", help="the file to write (default: standard output)"
    )
    _pick(export)
    option(
        export,
        "--format",
        "STYLE",
        "json, text, messages, jinja, dspy, langchain, mlflow, langfuse, promptfoo (with the test "
        "rows), or own (the format of your --prompt file)",
        default="json",
    )


def _add_verify(verify: argparse.ArgumentParser) -> None:
    verify.add_argument("file", help="a file written by `optimize export`")
    json_option(verify)


def _add_gate(gate: argparse.ArgumentParser) -> None:
    gate.add_argument("file", help="the new prompt: a file written by `optimize export`")
    option(gate, "--against", "FILE", "the old prompt, another such file", required=True)
    option(gate, "--data", "FILE", "rows that neither prompt was searched with", required=True)
    option(
        gate,
        "--margin",
        "SHARE",
        f"the loss of score that is accepted (default: {MARGIN})",
        type=float,
        default=MARGIN,
    )
    option(gate, "--markdown", "FILE", "write a summary for a pull request")
    json_option(gate)


def _add_list(listing: argparse.ArgumentParser) -> None:
    listing.add_argument("group", choices=_GROUPS, metavar="|".join(_GROUPS))
    json_option(listing)


def _add_doctor(doctor: argparse.ArgumentParser) -> None:
    add_model(doctor)
    json_option(doctor)
