"""What pages take from the code is all that the code has."""

from __future__ import annotations

import pytest
from mkdocs.exceptions import PluginError

from docs.generated import GENERATED, on_page_markdown, on_post_page
from promptfront.search.cli.parser import COMMANDS, flags
from promptfront.search.errors import PromptfrontError
from promptfront.search.plugins import available


def test_the_command_line_has_every_command_and_option() -> None:
    """No option can be left out: the tables are made of the parser's own."""
    text = GENERATED["command line"]()
    assert [] == [name for name in COMMANDS if f"## `optimize {name}`" not in text]
    wanted = [flag for name, flag in flags().items() if name != "help"]
    assert [] == [flag for flag in wanted if f"`{flag}" not in text and f", {flag}" not in text]
    assert "| `--budget N` | candidate prompts to try (default: 200) |" in text
    assert "| `--shapley [N]` |" in text
    assert "| `--task NAME|FILE` |" in text


def test_the_tables_of_plugins_have_all_built_in_ones() -> None:
    """Each with the first sentence on it."""
    for group in ("mutators", "scorers", "tasks"):
        text = GENERATED[group]()
        points = available(f"promptfront.{group}").items()
        ours = [name for name, point in points if point.dist and point.dist.name == "promptfront"]
        assert [] == [name for name in ours if f"| `{name}` |" not in text]
        assert [] == [line for line in text.splitlines() if line.endswith("|  |")]


def test_the_tree_of_errors_has_every_exception() -> None:
    """With its exit code, those of subclasses included."""

    def names(error: type[PromptfrontError]) -> list[str]:
        return [error.__name__, *(name for one in error.__subclasses__() for name in names(one))]

    text = GENERATED["errors"]()
    assert [] == [name for name in names(PromptfrontError) if f"`{name}`" not in text]
    assert "`VerificationError` | 1 | An exported prompt" in text


def test_only_a_mark_on_a_line_of_its_own_is_replaced() -> None:
    """Other text stays as it is."""
    assert "a\nb <!-- generated: errors -->" == on_page_markdown("a\nb <!-- generated: errors -->")
    assert "PromptfrontError" in on_page_markdown("a\n<!-- generated: errors -->\n")


@pytest.mark.parametrize(
    "tag",
    [
        '<script src="https://a.example/a.js"></script>',
        '<link rel="stylesheet" href="//a.example/a.css">',
        "<img alt=x src=http://a.example/a.png>",
    ],
)
def test_a_page_that_loads_from_elsewhere_is_refused(tag: str) -> None:
    """Links lead elsewhere; scripts, styles, fonts and pictures do not come from there."""
    own = '<script src="../a.js"></script><a href="https://arxiv.org/abs/1706.03762">a paper</a>'
    assert own == on_post_page(own)
    with pytest.raises(PluginError, match=r"a\.example"):
        on_post_page(own + tag)
