"""The words of the `optimize` command: its commands and their options."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from ..contracts import INSTRUCTION_TOKENS
from ..options import DEFAULT_STORAGE, SHAPLEY_SAMPLES
from .streams import say, tell

COMMANDS = ("run", "frontier", "explain", "report", "export", "verify", "list", "doctor")
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
    parser = _Parser(
        prog="optimize",
        description="Search for a better, shorter prompt for your model.",
        epilog="The options of a search are in `optimize run --help`.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text)

    _add_run(command("run", "search (the default: `optimize --task sentiment --budget 200`)"))
    _add_study(command("frontier", "show the Pareto front of a study"))
    _add_explain(command("explain", "what each part of a prompt is worth, by leaving it out"))
    _add_report(command("report", "write a study as a page of HTML, one file to mail"))
    _add_export(command("export", "write a prompt of the front to a file"))
    _add_verify(
        command("verify", "score an exported prompt again; exit code 1 if its number differs")
    )
    _add_list(command("list", "what is installed, plugins included"))
    _add_doctor(command("doctor", "check the installation, and a backend's speed and accuracy"))
    return parser


_Adder = argparse.ArgumentParser | argparse._ArgumentGroup


def _option(to: _Adder, flag: str, metavar: str, text: str, **more: Any) -> None:  # noqa: ANN401 (argparse's own)
    to.add_argument(flag, metavar=metavar, help=text, **more)


def _repeated(to: _Adder, flag: str, metavar: str, text: str) -> None:
    to.add_argument(flag, action="append", default=[], metavar=metavar, help=text)


def _json(to: _Adder) -> None:
    to.add_argument("--json", action="store_true", help="print one JSON object last")


def _add_run(run: argparse.ArgumentParser) -> None:
    _add_data(run.add_argument_group("task and data"))
    _add_model(run)
    search = run.add_argument_group("search")
    _add_limits(search)
    _add_proposals(search)
    _option(search, "--seed", "N", "decides splits and search (default: 0)", type=int, default=0)
    _add_study(run)


def _add_data(data: _Adder) -> None:
    _option(
        data,
        "--task",
        "NAME|FILE",
        "an installed task (see `optimize list tasks`) or a YAML task file",
    )
    _option(
        data,
        "--data",
        "FILE|ID",
        "CSV, TSV, JSONL or Parquet file or Hugging Face data set, to be split",
    )
    _option(data, "--train", "FILE", "training examples, already split")
    _option(data, "--dev", "FILE", "dev examples, already split")
    _option(data, "--test", "FILE", "test examples, already split")
    _repeated(data, "--input-column", "NAME", "an input column; repeat for several")
    _option(data, "--target-column", "NAME", "the column that holds the answer")
    _repeated(
        data,
        "--instruction",
        "TEXT",
        "the instruction to start from; repeat for others to try first",
    )
    _repeated(
        data,
        "--prompt",
        "FILE",
        "a prompt of your own with {column} or {{ column }} in it: text, messages (JSON, YAML) or "
        "a promptfoo configuration; repeat for others to try first",
    )
    _repeated(data, "--keep", "TEXT", "a text of it that every candidate keeps; repeat for more")
    _option(data, "--choices", "A,B,C", "the labels, as in 'a,\"b, c\"' (default: those seen)")
    data.add_argument(
        "--answers",
        choices=("written", "choice", "likelihood"),
        help="what makes a label right: it is what the model writes (the default), the likeliest "
        "of the labels, or that after calibration and in words that the prompt need not name",
    )
    _option(
        data,
        "--scorer",
        "NAME|FILE:NAME",
        "the metric to optimize (see `optimize list scorers`), or your own",
    )


def _add_limits(search: _Adder) -> None:
    _option(
        search, "--budget", "N", "candidate prompts to try (default: 200)", type=int, default=200
    )
    _option(search, "--max-evaluations", "N", "evaluations (prompt x example) at most", type=int)
    _option(search, "--max-tokens", "N", "tokens of those evaluations at most", type=int)
    _option(search, "--timeout", "SECONDS", "seconds to search at most", type=float)
    _option(
        search, "--max-prompt-tokens", "N", "tokens a prompt may add to an input at most", type=int
    )
    _option(search, "--patience", "N", "end after N candidates in a row without a gain", type=int)


def _add_proposals(search: _Adder) -> None:
    _option(
        search,
        "--proposer-model",
        "ID|FOLDER",
        "another model to write proposals (default: the model itself)",
    )
    _option(search, "--proposer-backend", "NAME", "its backend (default: that of --backend)")
    _option(
        search,
        "--proposer-base-url",
        "URL",
        "the server that it is on; the key is read from PROPOSER_API_KEY or OPENAI_API_KEY",
    )
    _option(search, "--proposer-price", "IN,OUT", "as --price, of the proposer")
    _option(search, "--proposer-max-cost", "DOLLARS", "what it may cost at that price", type=float)
    _repeated(search, "--proposer-option", "NAME=VALUE", "anything else that its backend takes")
    _option(search, "--sampler", "NAME", "tpe, nsga2, gp or random (default: tpe)", default="tpe")
    _repeated(search, "--mutator", "FILE:NAME", "a mutator class of your own")
    _repeated(search, "--without", "MUTATOR", "a mutator not to use, such as calibration")
    _option(
        search,
        "--max-demonstrations",
        "N",
        "examples a prompt may show at most; 0: none (default: 16)",
        type=int,
    )
    search.add_argument(
        "--reasoning",
        action=argparse.BooleanOptionalAction,
        help="may the model reason before it answers? (default: in free text alone)",
    )
    _option(
        search,
        "--max-instruction-tokens",
        "N",
        f"tokens of a written instruction at most (default: {INSTRUCTION_TOKENS})",
        type=int,
        default=INSTRUCTION_TOKENS,
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("model")
    _option(
        model,
        "--model",
        "ID|FOLDER",
        "a Hugging Face model (default: a 135M instruct model, fetched once)",
    )
    _option(model, "--backend", "NAME", "see `optimize list backends` (default: hf)", default="hf")
    _add_hardware(model)
    model.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="run code that comes with the model: only if you trust it",
    )
    _add_server(model)
    _repeated(
        model,
        "--backend-option",
        "NAME=VALUE",
        "anything else the backend takes, such as tensor_parallel_size=2",
    )


def _add_hardware(model: _Adder) -> None:
    _option(
        model,
        "--device",
        "DEVICE",
        "cpu, cuda, cuda:1 ..., or auto to spread the model over all GPUs",
    )
    _option(
        model,
        "--dtype",
        "DTYPE",
        "auto, float32, bfloat16, float16 or int8 (default: auto, bfloat16 on a GPU and on a CPU "
        "that multiplies it in hardware (AMX), else float32)",
    )
    _option(
        model,
        "--max-batch-tokens",
        "N",
        "tokens in one pass of the model (default: by free memory)",
        type=int,
    )


def _add_server(model: _Adder) -> None:
    _option(
        model,
        "--base-url",
        "URL",
        "the server of --backend openai; the key is read from OPENAI_API_KEY",
    )
    _option(
        model,
        "--retry-timeout",
        "SECONDS",
        "how long a silent server is waited for (default: 600)",
        type=float,
    )
    _option(model, "--price", "IN,OUT", "dollars for a million prompt and completion tokens")
    _option(model, "--max-cost", "DOLLARS", "what this run may cost at that price", type=float)


def _add_study(parser: argparse.ArgumentParser) -> None:
    _option(
        parser,
        "--storage",
        "URL",
        f"database URL (default: {DEFAULT_STORAGE})",
        default=DEFAULT_STORAGE,
    )
    _option(parser, "--study", "NAME", "the study's name")
    _json(parser)


def _pick(to: _Adder) -> None:
    text = "best, knee, shortest or a trial number (default: best)"
    _option(to, "--pick", "WHICH", text, default="best")


def _add_explain(explain: argparse.ArgumentParser) -> None:
    _add_study(explain)
    _pick(explain)
    explain.add_argument(
        "--split",
        choices=("dev", "test"),
        default="dev",
        help="the rows: dev and confirmation rows (the default), or test rows",
    )
    _option(explain, "--rows", "N", "so many of them at most (default: all)", type=int)
    _option(
        explain,
        "--shapley",
        "N",
        f"Shapley values too, from N subsets of the parts (default: {SHAPLEY_SAMPLES})",
        type=int,
        nargs="?",
        const=SHAPLEY_SAMPLES,
        default=0,
    )
    _option(explain, "--row", "N", "which words of the N-th of these rows matter", type=int)


def _add_report(report: argparse.ArgumentParser) -> None:
    _add_study(report)
    _pick(report)
    text = "the file (default: report.html)"
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
        help="several studies of the same rows, such as other models, on one page",
    )
    report.add_argument(
        "--cross",
        action="store_true",
        help="with --compare: each model scores the best prompts of the others",
    )


def _add_export(export: argparse.ArgumentParser) -> None:
    _add_study(export)
    export.add_argument(
        "-o", "--output", metavar="FILE", help="the file; standard output by default"
    )
    _pick(export)
    _option(
        export,
        "--format",
        "STYLE",
        "json, text, messages, jinja, dspy, langchain, mlflow, langfuse, promptfoo (with the "
        "study's test rows), or own: that of your --prompt",
        default="json",
    )


def _add_verify(verify: argparse.ArgumentParser) -> None:
    verify.add_argument("file", help="a file written by `optimize export`")
    _json(verify)


def _add_list(listing: argparse.ArgumentParser) -> None:
    listing.add_argument("group", choices=_GROUPS, metavar="|".join(_GROUPS))
    _json(listing)


def _add_doctor(doctor: argparse.ArgumentParser) -> None:
    _add_model(doctor)
    _json(doctor)
