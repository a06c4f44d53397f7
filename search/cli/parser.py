"""The words of the `optimize` command: its commands and their options."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from ..options import DEFAULT_STORAGE
from .streams import say, tell

COMMANDS = ("run", "frontier", "export", "verify", "list", "doctor")
_GROUPS = ("tasks", "mutators", "scorers", "backends")


class _Parser(argparse.ArgumentParser):
    """One sentence and exit code 2, without the usage dump."""

    def error(self, message: str) -> NoReturn:
        tell(f"optimize: error: {message} (see `{self.prog} --help`)")
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
        action.dest: action.option_strings[-1]
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
    parser = _Parser(
        prog="optimize",
        description="Search for a better, shorter prompt for your model.",
        epilog="The options of a search are in `optimize run --help`.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_run(
        commands.add_parser(
            "run", help="search (the default: `optimize --task sentiment --budget 200`)"
        )
    )
    frontier = commands.add_parser("frontier", help="show the Pareto front of a study")
    _add_study(frontier)
    export = commands.add_parser("export", help="write a prompt of the front to a file")
    _add_study(export)
    export.add_argument(
        "-o", "--output", metavar="FILE", help="the file; standard output by default"
    )
    export.add_argument(
        "--pick",
        default="best",
        metavar="WHICH",
        help="best, knee, shortest or a trial number (default: best)",
    )
    export.add_argument(
        "--format",
        default="json",
        metavar="STYLE",
        help="json, text, messages, jinja, dspy or langchain",
    )
    verify = commands.add_parser(
        "verify", help="score an exported prompt again; exit code 1 if its number differs"
    )
    verify.add_argument("file", help="a file written by `optimize export`")
    verify.add_argument("--json", action="store_true", help="print one JSON object last")
    listing = commands.add_parser("list", help="what is installed, plugins included")
    listing.add_argument("group", choices=_GROUPS, metavar="|".join(_GROUPS))
    listing.add_argument("--json", action="store_true", help="print one JSON object last")
    doctor = commands.add_parser(
        "doctor", help="what is installed, and how fast and how right a backend scores here"
    )
    _add_model(doctor)
    doctor.add_argument("--json", action="store_true", help="print one JSON object last")
    return parser


def _add_run(run: argparse.ArgumentParser) -> None:
    data = run.add_argument_group("task and data")
    data.add_argument(
        "--task",
        metavar="NAME|FILE",
        help="an installed task (see `optimize list tasks`) or a YAML task file",
    )
    data.add_argument(
        "--data",
        metavar="FILE|ID",
        help="CSV, TSV, JSONL or Parquet file or Hugging Face data set, to be split",
    )
    for split in ("train", "dev", "test"):
        data.add_argument(f"--{split}", metavar="FILE", help=f"the {split} split, already made")
    data.add_argument(
        "--input-column",
        action="append",
        default=[],
        metavar="NAME",
        help="an input column; repeat for several",
    )
    data.add_argument("--target-column", metavar="NAME", help="the column that holds the answer")
    data.add_argument(
        "--instruction",
        action="append",
        default=[],
        metavar="TEXT",
        help="the instruction to start from; repeat for others to try first",
    )
    data.add_argument(
        "--choices", metavar="A,B,C", help="the labels, as in 'a,\"b, c\"' (default: those seen)"
    )
    data.add_argument(
        "--scorer",
        metavar="NAME|FILE:NAME",
        help="what a good answer is (see `optimize list scorers`), or your own",
    )
    _add_model(run)
    search = run.add_argument_group("search")
    search.add_argument(
        "--budget",
        type=int,
        default=200,
        metavar="N",
        help="candidate prompts to try (default: 200)",
    )
    search.add_argument(
        "--max-evaluations",
        type=int,
        metavar="N",
        help="prompt x example evaluations to evaluate at most",
    )
    search.add_argument(
        "--max-tokens", type=int, metavar="N", help="tokens of those evaluations at most"
    )
    search.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="seconds to search at most"
    )
    search.add_argument(
        "--proposer-model",
        metavar="ID|FOLDER",
        help="another model on the same backend to write proposals (default: the model itself)",
    )
    search.add_argument(
        "--sampler", default="tpe", metavar="NAME", help="tpe, nsga2, gp or random (default: tpe)"
    )
    search.add_argument(
        "--mutator",
        action="append",
        default=[],
        metavar="FILE:NAME",
        help="a mutator class of your own",
    )
    search.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="MUTATOR",
        help="a mutator not to use, such as calibration",
    )
    search.add_argument(
        "--max-demonstrations",
        type=int,
        metavar="N",
        help="examples a prompt may show at most; 0: none (default: 16)",
    )
    search.add_argument(
        "--seed", type=int, default=0, metavar="N", help="decides splits and search (default: 0)"
    )
    _add_study(run)


def _add_model(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("model")
    model.add_argument(
        "--model",
        metavar="ID|FOLDER",
        help="a Hugging Face model (default: a 135M instruct model, fetched once)",
    )
    model.add_argument(
        "--backend", default="hf", metavar="NAME", help="see `optimize list backends` (default: hf)"
    )
    model.add_argument(
        "--device",
        metavar="DEVICE",
        help="cpu, cuda, cuda:1 ..., or auto to spread the model over all GPUs",
    )
    model.add_argument(
        "--dtype",
        metavar="DTYPE",
        help="auto, float32, bfloat16, float16 or int8 (default: auto, bfloat16 on a GPU and on a CPU "
        "that multiplies it in hardware (AMX), else float32)",
    )
    model.add_argument(
        "--max-batch-tokens",
        type=int,
        metavar="N",
        help="tokens in one pass of the model (default: by free memory)",
    )
    model.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="run code that comes with the model: only if you trust it",
    )
    model.add_argument(
        "--base-url",
        metavar="URL",
        help="the server of --backend openai; the key is read from OPENAI_API_KEY",
    )
    model.add_argument(
        "--retry-timeout",
        type=float,
        metavar="SECONDS",
        help="how long a silent server is waited for (default: 600)",
    )
    model.add_argument(
        "--price", metavar="IN,OUT", help="dollars for a million prompt and completion tokens"
    )
    model.add_argument(
        "--max-cost", type=float, metavar="DOLLARS", help="what this run may cost at that price"
    )
    model.add_argument(
        "--backend-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="anything else the backend takes, such as tensor_parallel_size=2",
    )


def _add_study(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--storage",
        default=DEFAULT_STORAGE,
        metavar="URL",
        help=f"database URL (default: {DEFAULT_STORAGE})",
    )
    parser.add_argument("--study", metavar="NAME", help="the study's name")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
