"""The `optimize` command: parse, call the public API, print, exit code.

Nothing heavy is imported before the arguments are understood, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import signal
import sys
import time
import traceback
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import InputError, InterruptedCallError, PromptfrontError, StorageError
from ..options import DataOptions, Limits, above_zero
from ..secrets import mask
from .messages import telling_logs, with_flags
from .parser import COMMANDS, parse
from .streams import ascii_json, is_unicode, lenient, open_closed, say, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..loop import Progress
    from ..records.results import Frontier

_STOPPED = "optimize: stopped; what was finished is saved, and the same command continues"
_INTERRUPTED = 130
_SHOWN_LATER = "; the result is stored: `optimize frontier` shows it"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    That is 0, 1 if a verification failed, 2 for unusable input, or 130 if it was stopped.
    """
    if arguments is None:  # the process is ours
        open_closed()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _leave)
    words = list(sys.argv[1:] if arguments is None else arguments)
    # `optimize --task …` is the main job; the other commands are named.
    if not words or words[0] not in (*COMMANDS, "-h", "--help", "--version"):
        words = ["run", *words]
    with lenient(), telling_logs():
        try:
            return _command(parse(words))
        except PromptfrontError as error:
            kept = "; what was answered is kept, and the same command continues"
            tell(
                f"optimize: error: {with_flags(str(error))}{kept if isinstance(error, InterruptedCallError) else ''}"
            )
            return error.exit_code
        except KeyboardInterrupt:
            tell(_STOPPED)
            return _INTERRUPTED
        except MemoryError:
            tell(
                "optimize: error: there is not enough memory; try a smaller model or --max-batch-tokens"
            )
            return PromptfrontError.exit_code
        except Exception as error:  # noqa: BLE001 (the last line of defence: a fault of ours is a sentence, too)
            return _unexpected(error)


def _command(options: argparse.Namespace) -> int:
    _refuse_empty(options)
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "run": _run,
        "frontier": _frontier,
        "export": _export,
        "verify": _verify,
        "list": _list,
        "doctor": _doctor,
    }
    try:
        return commands[options.command](options)
    except SystemExit as error:
        raise InputError(
            f"a plugin or package ended the process (exit code {error.code})"
        ) from error


def _unexpected(error: Exception) -> int:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    tell(
        mask(
            f"optimize: error: unexpected {reason}; this is a fault of promptfront, please report it "
            "(with PROMPTFRONT_DEBUG=1 it shows where); what was finished is saved"
        )
    )
    if os.environ.get("PROMPTFRONT_DEBUG"):
        tell(mask("".join(traceback.format_exception(error))))
    return PromptfrontError.exit_code


def _leave(*_: object) -> NoReturn:
    """End at once: an exception would be lost or misread inside what is being imported or loaded."""
    _call_out(_STOPPED)
    os._exit(_INTERRUPTED)


def _run(options: argparse.Namespace) -> int:
    limits = Limits(options.budget, options.max_evaluations, options.max_tokens, options.timeout)
    data = DataOptions(
        options.data,
        options.train,
        options.dev,
        options.test,
        tuple(options.input_column),
        options.target_column,
        tuple(options.instruction),
        _choices(options.choices),
        options.scorer,
    )
    if not any((options.task, data.data, data.train)):
        raise InputError(
            "expected --task NAME or --data FILE; for a first try: optimize --task sentiment --budget 200"
        )
    started = time.monotonic()
    from ..api import Plan, optimize
    from .tables import plan_lines

    with _Stopping() as stopping, _progress_bar(options.budget) as on_progress:

        def on_plan(plan: Plan) -> None:
            tell("\n".join(plan_lines(plan)))
            stopping.begin()

        try:
            frontier = optimize(
                options.task,
                budget=options.budget,
                seed=options.seed,
                model=options.model,
                proposer=options.proposer_model,
                backend=options.backend,
                backend_options=_backend_options(options),
                sampler=options.sampler,
                mutators=options.mutator,
                without=options.without,
                max_demonstrations=options.max_demonstrations,
                data=data,
                limits=limits,
                storage=options.storage,
                study=options.study,
                on_plan=on_plan,
                on_progress=on_progress,
                should_stop=lambda: stopping.asked,
            )
        except StorageError as error:
            if error.found:
                tell(
                    f"optimize: error: {with_flags(str(error))}; what was found is shown, not saved"
                )
                _show(error.found, options)
                return error.exit_code
            raise
        except InputError:
            if stopping.asked:  # before there was anything to show
                raise KeyboardInterrupt from None
            raise
    try:
        _show(frontier, options, seconds=round(time.monotonic() - started, 1))
    except InputError as error:
        raise InputError(f"{error}{_SHOWN_LATER}") from None
    return 0


def _show(frontier: Frontier, options: argparse.Namespace, **more: float) -> None:
    from .tables import result_lines

    say("\n".join(result_lines(frontier)))
    if options.json:
        _say_json(frontier.to_dict() | more)


def _say_json(value: dict[str, Any]) -> None:
    say(json.dumps(value, ensure_ascii=not is_unicode()))


def _frontier(options: argparse.Namespace) -> int:
    from ..api import load_frontier

    _show(load_frontier(options.storage, options.study), options)
    return 0


def _export(options: argparse.Namespace) -> int:
    from ..api import export_prompt
    from ..export.document import write_text
    from ..export.formats import format_prompt, notes

    document, entry = export_prompt(options.storage, options.study, pick=options.pick)
    text = format_prompt(document, entry.prompt, options.format)
    for note in notes(document, entry.prompt, options.format):
        tell(f"--format {options.format}: {note}")
    if options.output:
        write_text(options.output, text)
        tell(f"trial {entry.trial} of {document['study']} -> {options.output}")
    else:
        is_json = options.format not in ("text", "jinja")
        say(ascii_json(text) if is_json and not is_unicode() else text, end="")
    if options.json:
        found = {
            "study": document["study"],
            "trial": entry.trial,
            "file": options.output,
            "format": options.format,
        }
        say(json.dumps(found))
    return 0


def _verify(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from ..export.document import verify

    found = verify(options.file)
    say(f"{options.file}: {found.split} score {found.found!r} on {found.n} rows, as exported")
    if options.json:
        say(json.dumps(asdict(found)))
    return 0


def _list(options: argparse.Namespace) -> int:
    from ..plugins import available, load

    group = f"promptfront.{options.group}"
    found = available(group)
    rows = {
        name: f"{point.dist.name if point.dist else '?'}  {point.value}"
        for name, point in sorted(found.items())
    }
    if options.group == "tasks":
        rows |= {
            name: source for name in rows if (source := getattr(load(group, name), "source", None))
        }
    width = max(map(len, rows), default=0)
    say("\n".join(f"{name.ljust(width)}  {row}" for name, row in rows.items()))
    if options.json:
        say(json.dumps({options.group: sorted(found)}))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import examine

    found = examine(options.backend, options.model, _backend_options(options))
    say("\n".join(f"{name.ljust(12)} {text}" for name, text in found.lines()))
    if options.json:
        _say_json(found.to_dict())
    return 0


def _refuse_empty(options: argparse.Namespace) -> None:
    """Refuse an option that is given and says nothing: `--model "$MODEL"` with MODEL unset."""
    for name, value in vars(options).items():
        if isinstance(value, str) and not value.strip() and name not in ("target_column", "file"):
            raise InputError(
                f"--{name.replace('_', '-')}: expected a value, found {value!r}; leave it out for none"
            )


def _backend_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was asked of the backend: its constructor's arguments by name."""
    for name in ("max_batch_tokens", "retry_timeout", "max_cost"):
        if (value := getattr(options, name)) is not None:
            above_zero(name, value)
    names = (
        "max_batch_tokens",
        "trust_remote_code",
        "device",
        "dtype",
        "base_url",
        "retry_timeout",
        "max_cost",
    )
    found: dict[str, Any] = {name: value for name in names if (value := getattr(options, name))}
    if options.price:
        found["price"] = _price(options.price)
    for text in options.backend_option:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"--backend-option: expected NAME=VALUE, found {text!r}")
        if name in (*names, "model", "price"):
            raise InputError(
                f"--backend-option {name}: it has an option of its own, --{name.replace('_', '-')}"
            )
        try:
            found[name] = json.loads(value)
        except (ValueError, RecursionError):
            found[name] = value
    return found


def _price(text: str) -> list[float]:
    try:
        prices = [float(part) for part in text.split(",")]
    except ValueError:
        prices = []
    if len(prices) != 2 or not all(0 <= price < math.inf for price in prices):
        raise InputError(f"--price: expected two numbers such as 0.15,0.6, found {text}")
    return prices


def _choices(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    try:
        choices = tuple(
            choice.strip()
            for choice in next(csv.reader([text], skipinitialspace=True, strict=True), [])
        )
    except csv.Error as error:
        raise InputError(
            f"--choices: expected labels as in 'a,\"b, c\"', found {text!r} ({error})"
        ) from None
    if len(choices) < 2 or not all(choices) or len(set(choices)) < len(choices):
        raise InputError(
            f"--choices: expected two or more different labels with commas between them, found {text!r}"
        )
    return choices


class _Stopping:
    """Ctrl-C: once the search has begun, the first asks for an end after the batch in flight, the second ends at once."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> _Stopping:
        self._before = signal.getsignal(signal.SIGINT)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def begin(self) -> None:
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)
        self.asked = True
        _call_out("optimize: finishing the batch in flight; Ctrl-C again to stop at once")


def _call_out(text: str) -> None:
    """Tell something from a signal's handler, where a stream may be in the middle of a line."""
    with suppress(OSError):
        os.write(2, f"\n{text}\n".encode())


@contextmanager
def _progress_bar(budget: int) -> Iterator[Callable[[Progress], None]]:
    from tqdm import tqdm

    bar = tqdm(
        total=budget,
        unit="prompt",
        disable=not sys.stderr.isatty() or None,
        file=sys.stderr,
        dynamic_ncols=True,
    )
    first: list[tuple[float, int]] = []

    def show(progress: Progress) -> None:
        first.append((time.monotonic(), progress.evaluations))
        seconds, evaluations = time.monotonic() - first[0][0], progress.evaluations - first[0][1]
        rate = (
            f"{evaluations / seconds:.0f} evaluations/s"
            if seconds > 1 and progress.stage == "search"
            else progress.stage
        )
        best = "-" if progress.best is None else f"{progress.best:.3f}"
        bar.set_postfix_str(f"best {best}, front {progress.front}, {rate}", refresh=False)
        bar.update(progress.trials - bar.n)
        bar.refresh()

    try:
        yield show
    finally:
        bar.close()
