"""The options of a search, and of the models that it runs."""

from __future__ import annotations

import argparse
from typing import Any

from ..contracts import INSTRUCTION_TOKENS

Adder = argparse.ArgumentParser | argparse._ArgumentGroup


def option(to: Adder, flag: str, metavar: str, text: str, **more: Any) -> None:  # noqa: ANN401 (argparse's own)
    """Add an option with a value."""
    to.add_argument(flag, metavar=metavar, help=text, **more)


def repeated(to: Adder, flag: str, metavar: str, text: str) -> None:
    """Add an option that may be given several times."""
    to.add_argument(flag, action="append", default=[], metavar=metavar, help=text)


def json_option(to: Adder) -> None:
    """Add ``--json``."""
    to.add_argument(
        "--json", action="store_true", help="also print one JSON object, as the last line"
    )


def add_run(run: argparse.ArgumentParser) -> None:
    """Add the options of a search, less those that name its study."""
    _add_data(run.add_argument_group("task and data"))
    add_model(run)
    search = run.add_argument_group("search")
    _add_limits(search)
    _add_proposals(search)
    option(
        search, "--seed", "N", "seed of the splits and the search (default: 0)", type=int, default=0
    )


def _add_data(data: Adder) -> None:
    option(
        data,
        "--task",
        "NAME|FILE",
        "an installed task (see `optimize list tasks`) or a YAML task file",
    )
    option(
        data,
        "--data",
        "FILE|ID",
        "CSV, TSV, JSONL, JSON or Parquet file, or Hugging Face data set; it is split for you",
    )
    option(
        data,
        "--train",
        "FILE",
        "training rows, where the data is already split; a missing split is taken from them",
    )
    option(data, "--dev", "FILE", "dev rows, where the data is already split")
    option(data, "--test", "FILE", "test rows, where the data is already split")
    repeated(data, "--input-column", "NAME", "name of an input column; repeat for more")
    option(data, "--target-column", "NAME", "name of the column that holds the answer")
    repeated(
        data,
        "--instruction",
        "TEXT",
        "the starting instruction; repeat for more instructions to try first",
    )
    repeated(
        data,
        "--prompt",
        "FILE",
        "your own starting prompt, with {column} or {{ column }} as placeholders: a text file, "
        "a list of messages (JSON, YAML) or a promptfoo configuration; repeat for more prompts to "
        "try first",
    )
    repeated(
        data,
        "--keep",
        "TEXT",
        "a part of the starting prompt that every candidate keeps unchanged; repeat for more",
    )
    option(
        data, "--choices", "A,B,C", "the labels, as in 'a,\"b, c\"' (default: those in the data)"
    )
    data.add_argument(
        "--answers",
        choices=("written", "choice", "likelihood"),
        help="when a label counts as correct: written (the default): the model's reply names it; "
        "choice: it is the most likely label; likelihood: it is the most likely label after "
        "calibration, and other words may stand for the labels",
    )
    option(
        data,
        "--scorer",
        "NAME|FILE:NAME",
        "the metric to maximize (see `optimize list scorers`), or your own function",
    )


def _add_limits(search: Adder) -> None:
    option(
        search, "--budget", "N", "candidate prompts to try (default: 200)", type=int, default=200
    )
    option(
        search,
        "--max-evaluations",
        "N",
        "stop after N evaluations (each scores a prompt on an example)",
        type=int,
    )
    option(search, "--max-tokens", "N", "stop after N tokens in these evaluations", type=int)
    option(search, "--timeout", "SECONDS", "stop searching after this time", type=float)
    option(
        search,
        "--max-prompt-tokens",
        "N",
        "maximum tokens of a prompt and its demonstrations, without the input",
        type=int,
    )
    option(search, "--patience", "N", "stop after N candidates in a row without a gain", type=int)


def _add_proposals(search: Adder) -> None:
    option(
        search,
        "--proposer-model",
        "ID|FOLDER",
        "another model, which writes new instructions (default: the model itself)",
    )
    option(
        search, "--proposer-backend", "NAME", "the proposer's backend (default: that of --backend)"
    )
    option(
        search,
        "--proposer-base-url",
        "URL",
        "the proposer's server; the key is read from PROPOSER_API_KEY or OPENAI_API_KEY",
    )
    option(search, "--proposer-price", "IN,OUT", "like --price, for the proposer")
    option(
        search, "--proposer-max-cost", "DOLLARS", "like --max-cost, for the proposer", type=float
    )
    repeated(search, "--proposer-option", "NAME=VALUE", "like --backend-option, for the proposer")
    option(search, "--sampler", "NAME", "tpe, nsga2, gp or random (default: tpe)", default="tpe")
    repeated(search, "--mutator", "FILE:NAME", "a mutator class of your own; repeat for more")
    repeated(
        search,
        "--without",
        "MUTATOR",
        "an installed mutator to leave out, such as calibration; repeat for more",
    )
    option(
        search,
        "--max-demonstrations",
        "N",
        "maximum number of examples in a prompt; 0 for none (default: 16)",
        type=int,
    )
    search.add_argument(
        "--reasoning",
        action=argparse.BooleanOptionalAction,
        help="let prompts ask the model to reason before it answers (default: only for free text)",
    )
    option(
        search,
        "--max-instruction-tokens",
        "N",
        f"maximum tokens of a generated instruction (default: {INSTRUCTION_TOKENS})",
        type=int,
        default=INSTRUCTION_TOKENS,
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which model scores, and how it runs."""
    model = parser.add_argument_group("model")
    option(
        model,
        "--model",
        "ID|FOLDER",
        "a Hugging Face model (default: a 135M instruct model, downloaded once)",
    )
    option(
        model,
        "--backend",
        "NAME",
        "the backend that runs the model (see `optimize list backends`; default: hf)",
        default="hf",
    )
    _add_hardware(model)
    model.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="run the Python code that comes with the model; only if you trust it",
    )
    _add_server(model)
    repeated(
        model,
        "--backend-option",
        "NAME=VALUE",
        "another option of the backend, such as tensor_parallel_size=2; repeat for more",
    )


def _add_hardware(model: Adder) -> None:
    option(
        model,
        "--device",
        "DEVICE",
        "cpu, cuda, cuda:1 ..., or auto to spread the model over all GPUs",
    )
    option(
        model,
        "--dtype",
        "DTYPE",
        "auto, float32, bfloat16, float16 or int8 (default: auto, which is bfloat16 on a GPU or "
        "on a CPU with AMX, else float32)",
    )
    option(
        model,
        "--max-batch-tokens",
        "N",
        "maximum tokens in one forward pass (default: as free memory allows)",
        type=int,
    )


def _add_server(model: Adder) -> None:
    option(
        model,
        "--base-url",
        "URL",
        "address of the server for --backend openai; the key is read from OPENAI_API_KEY",
    )
    option(
        model,
        "--retry-timeout",
        "SECONDS",
        "how long to wait for a server that does not answer (default: 600)",
        type=float,
    )
    option(model, "--price", "IN,OUT", "dollars per million prompt tokens and completion tokens")
    option(model, "--max-cost", "DOLLARS", "maximum cost of this run at --price", type=float)
