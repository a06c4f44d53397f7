"""The `optimize` command: parse, call the public API, print, exit code. The only place that prints.

Nothing heavy is imported before the arguments are understood, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .arguments import COMMANDS, parse
from .errors import InputError, InterruptedCallError, PromptfrontError
from .options import DataOptions, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .loop import Progress


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 if a verification failed, 2 for unusable input."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # `optimize --task …` is the main job; the other commands are named.
    if not words or words[0] not in (*COMMANDS, "-h", "--help", "--version"):
        words = ["run", *words]
    options = parse(words)
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
    except PromptfrontError as error:
        kept = "; what was answered is kept, and the same command continues"
        print(f"optimize: error: {error}{kept if isinstance(error, InterruptedCallError) else ''}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("optimize: stopped; what was finished is saved, and the same command continues", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(options: argparse.Namespace) -> int:
    limits = Limits(options.budget, options.max_pairs, options.max_tokens, options.timeout)
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
        raise InputError("expected --task NAME or --data FILE; for a first try: optimize --task sentiment --budget 200")
    started = time.monotonic()
    from .api import optimize
    from .report import plan_lines, result_lines

    with _interruptible() as should_stop, _progress_bar(options.budget) as on_progress:
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
            on_plan=lambda plan: print("\n".join(plan_lines(plan)), file=sys.stderr),
            on_progress=on_progress,
            should_stop=should_stop,
        )
    seconds = time.monotonic() - started
    print("\n".join(result_lines(frontier)))
    if options.json:
        print(json.dumps(frontier.to_dict() | {"seconds": round(seconds, 1)}, ensure_ascii=False))
    return 0


def _frontier(options: argparse.Namespace) -> int:
    from .api import load_frontier
    from .report import result_lines

    frontier = load_frontier(options.storage, options.study)
    print("\n".join(result_lines(frontier)))
    if options.json:
        print(json.dumps(frontier.to_dict(), ensure_ascii=False))
    return 0


def _export(options: argparse.Namespace) -> int:
    from .api import export_prompt
    from .export import write_text
    from .formats import format_prompt

    document, entry = export_prompt(options.storage, options.study, pick=options.pick)
    text = format_prompt(document, entry.prompt, options.format)
    if options.output:
        write_text(options.output, text)
        print(f"trial {entry.trial} of {document['study']} -> {options.output}", file=sys.stderr)
    else:
        print(text, end="")
    if options.json:
        print(
            json.dumps(
                {"study": document["study"], "trial": entry.trial, "file": options.output, "format": options.format}
            )
        )
    return 0


def _verify(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from .export import verify

    found = verify(options.file)
    print(f"{options.file}: {found.split} score {found.found!r} on {found.n} rows, as exported")
    if options.json:
        print(json.dumps(asdict(found)))
    return 0


def _list(options: argparse.Namespace) -> int:
    from .plugins import available, load

    group = f"promptfront.{options.group}"
    found = available(group)
    rows = {name: f"{point.dist.name if point.dist else '?'}  {point.value}" for name, point in sorted(found.items())}
    if options.group == "tasks":
        rows |= {name: source for name in rows if (source := getattr(load(group, name), "source", None))}
    width = max(map(len, rows), default=0)
    print("\n".join(f"{name.ljust(width)}  {row}" for name, row in rows.items()))
    if options.json:
        print(json.dumps({options.group: sorted(found)}))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import examine

    found = examine(options.backend, options.model, _backend_options(options))
    print("\n".join(f"{name.ljust(12)} {text}" for name, text in found.lines()))
    if options.json:
        print(json.dumps(found.to_dict(), ensure_ascii=False))
    return 0


def _backend_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was asked of the backend: its constructor's arguments by name."""
    for name in ("max_batch_tokens", "retry_timeout", "max_cost"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            raise InputError(f"--{name.replace('_', '-')}: expected a number above 0, found {value}")
    names = ("max_batch_tokens", "trust_remote_code", "device", "dtype", "base_url", "retry_timeout", "max_cost")
    found: dict[str, Any] = {name: value for name in names if (value := getattr(options, name))}
    if options.price:
        try:
            found["price"] = [float(part) for part in options.price.split(",")]
        except ValueError:
            raise InputError(f"--price: expected two numbers such as 0.15,0.6, found {options.price}") from None
    for text in options.backend_option:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"--backend-option: expected NAME=VALUE, found {text!r}")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _choices(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    choices = tuple(choice.strip() for choice in text.split(","))
    if len(choices) < 2 or not all(choices) or len(set(choices)) < len(choices):
        raise InputError(f"--choices: expected two or more different labels with commas between them, found {text!r}")
    return choices


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C ask for an end after the batch in flight, and the second end at once."""
    asked = False

    def ask(*_: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        print("\noptimize: finishing the batch in flight; Ctrl-C again to stop at once", file=sys.stderr)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress_bar(budget: int) -> Iterator[Callable[[Progress], None]]:
    from tqdm import tqdm

    bar = tqdm(
        total=budget, unit="prompt", disable=not sys.stderr.isatty() or None, file=sys.stderr, dynamic_ncols=True
    )
    first: list[tuple[float, int]] = []

    def show(progress: Progress) -> None:
        first.append((time.monotonic(), progress.pairs))
        seconds, pairs = time.monotonic() - first[0][0], progress.pairs - first[0][1]
        rate = f"{pairs / seconds:.0f} pairs/s" if seconds > 1 and progress.stage == "search" else progress.stage
        best = "-" if progress.best is None else f"{progress.best:.3f}"
        bar.set_postfix_str(f"best {best}, front {progress.front}, {rate}", refresh=False)
        bar.update(progress.trials - bar.n)
        bar.refresh()

    try:
        yield show
    finally:
        bar.close()


if __name__ == "__main__":
    raise SystemExit(main())
