"""The `optimize` command: parse, call the public API, print, exit code.

Nothing heavy is imported before the arguments are understood, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import traceback
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import InputError, InterruptedCallError, PromptfrontError, StorageError
from ..secrets import mask
from .command_name import command_name
from .messages import telling_logs, with_flags
from .parser import COMMANDS, parse
from .progress import Stopping, call_out, progress_bar
from .streams import ascii_json, is_unicode, lenient, open_closed, say, tell
from .values import backend_options, data_options, limits, proposer_options, refuse_empty

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..plan import Plan
    from ..records.results import Frontier

_STOPPED = "stopped; finished work is saved, and the same command continues"
_INTERRUPTED = 130
_SHOWN_LATER = "; the result is stored: `optimize frontier` shows it"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    That is 0, 1 if a verification or a gate failed, 2 for unusable input, 3 if a gate's rows cannot
    tell, or 130 if it was stopped.
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
        except KeyboardInterrupt:
            tell(f"{command_name()}: {_STOPPED}")
            return _INTERRUPTED
        except Exception as error:  # noqa: BLE001 (whatever goes wrong is one sentence)
            tell(f"{command_name()}: error: {_sentence(error)}")
            if not isinstance(error, PromptfrontError) and os.environ.get("PROMPTFRONT_DEBUG"):
                tell(mask("".join(traceback.format_exception(error))))
            return getattr(error, "exit_code", PromptfrontError.exit_code)


def _sentence(error: Exception) -> str:
    """Return what went wrong, in the words of the command line."""
    if isinstance(error, InterruptedCallError):
        return f"{with_flags(str(error))}; answers so far are saved, and the same command continues"
    if isinstance(error, PromptfrontError):
        return with_flags(str(error))
    if isinstance(error, MemoryError):
        return "there is not enough memory; try a smaller model or a lower --max-batch-tokens"
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return mask(
        f"unexpected {reason}; this is a bug in promptfront, please report it "
        "(PROMPTFRONT_DEBUG=1 prints the traceback); finished work is saved"
    )


def _command(options: argparse.Namespace) -> int:
    refuse_empty(options)
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "run": _run,
        "frontier": _frontier,
        "explain": _explain,
        "report": _report,
        "export": _export,
        "verify": _verify,
        "gate": _gate,
        "list": _list,
        "doctor": _doctor,
    }
    try:
        return commands[options.command](options)
    except SystemExit as error:
        raise InputError(
            f"a plugin or package tried to end the process (exit code {error.code})"
        ) from error


def _leave(*_: object) -> NoReturn:
    """End at once: an exception would be lost inside what is being imported or loaded."""
    call_out(f"{command_name()}: {_STOPPED}")
    os._exit(_INTERRUPTED)


def _run(options: argparse.Namespace) -> int:
    started = time.monotonic()
    try:
        frontier = _search(options)
    except StorageError as error:
        if error.found is None:
            raise
        tell(f"{command_name()}: error: {with_flags(str(error))}; the results below are not saved")
        _show(error.found, options)
        return error.exit_code
    try:
        _show(frontier, options, seconds=round(time.monotonic() - started, 1))
    except InputError as error:
        raise InputError(f"{error}{_SHOWN_LATER}") from None
    return 0


def _search(options: argparse.Namespace) -> Frontier:
    """Run the search, with a progress bar and an ear for Ctrl-C."""
    limit, data, settings = limits(options), data_options(options), backend_options(options)
    writing = proposer_options(options)
    from ..api import optimize
    from .tables import plan_lines

    with Stopping() as stopping, progress_bar(options.budget) as on_progress:

        def on_plan(plan: Plan) -> None:
            tell("\n".join(plan_lines(plan)))
            stopping.begin()

        try:
            return optimize(
                options.task,
                budget=options.budget,
                seed=options.seed,
                model=options.model,
                proposer=options.proposer_model,
                proposer_backend=options.proposer_backend
                or ("openai" if options.proposer_base_url else None),
                proposer_options=writing,
                backend=options.backend,
                backend_options=settings,
                sampler=options.sampler,
                mutators=options.mutator,
                without=options.without,
                max_demonstrations=options.max_demonstrations,
                max_instruction_tokens=options.max_instruction_tokens,
                reasoning=options.reasoning,
                answers=options.answers,
                data=data,
                limits=limit,
                storage=options.storage,
                study=options.study,
                on_plan=on_plan,
                on_progress=on_progress,
                should_stop=lambda: stopping.asked,
            )
        except StorageError:
            raise
        except InputError:
            if stopping.asked:  # before there was anything to show
                raise KeyboardInterrupt from None
            raise


def _show(frontier: Frontier, options: argparse.Namespace, **more: float) -> None:
    from .tables import result_lines
    from .terminal import is_terminal, terminal_text

    text = terminal_text(frontier) if is_terminal() else "\n".join(result_lines(frontier))
    say(text)
    if options.json:
        times = {one.mutator: round(one.effort.seconds, 1) for one in frontier.mutators}
        _say_json(frontier.to_dict() | {"mutator_seconds": times} | more)


def _say_json(value: dict[str, Any]) -> None:
    say(json.dumps(value, ensure_ascii=not is_unicode()))


def _frontier(options: argparse.Namespace) -> int:
    from ..api import load_frontier

    _show(load_frontier(options.storage, options.study), options)
    return 0


def _explain(options: argparse.Namespace) -> int:
    from ..explaining import ExplainPlan, explain
    from .explanation_table import explanation_lines

    def on_plan(plan: ExplainPlan) -> None:
        tell(
            f"explain    trial {plan.trial}: {plan.parts} parts, {plan.prompts} prompts on "
            f"{plan.rows} rows; stored scores are reused"
        )

    explanation = explain(
        options.storage,
        options.study,
        pick=options.pick,
        split=options.split,
        rows=options.rows,
        shapley=options.shapley,
        row=options.row,
        on_plan=on_plan,
    )
    say("\n".join(explanation_lines(explanation)))
    if options.json:
        _say_json(explanation.to_dict())
    return 0


def _report(options: argparse.Namespace) -> int:
    from ..export.document import write_text
    from ..page.page import comparison_page, report

    rows = not options.no_rows
    if options.cross and not options.compare:
        raise InputError(
            "`cross`: expected studies to compare, found none; name them with `compare`"
        )
    if options.compare:
        from ..comparing import compare

        comparison = compare(options.compare, options.storage, cross=options.cross)
        page = comparison_page(comparison, rows=rows)
    else:
        page = report(options.storage, options.study, pick=options.pick, rows=rows)
    write_text(options.output, page)
    tell(f"wrote {options.output} ({len(page.encode()) / 1e6:.1f} MB); open it in a browser")
    if options.json:
        say(json.dumps({"file": options.output}))
    return 0


def _export(options: argparse.Namespace) -> int:
    from ..api import export_prompt, load_answers
    from ..export.document import write_text
    from ..export.formats import format_prompt, notes

    document, entry = export_prompt(options.storage, options.study, pick=options.pick)
    studied = options.format == "promptfoo"
    rows = load_answers(options.storage, document["study"]) if studied else None
    text = format_prompt(document, entry.prompt, options.format, rows)
    for note in notes(document, entry.prompt, options.format):
        tell(f"--format {options.format}: {note}")
    if options.output:
        write_text(options.output, text)
        tell(f"wrote trial {entry.number} of {document['study']} to {options.output}")
    else:
        is_json = options.format not in ("text", "jinja", "own", "promptfoo")
        say(ascii_json(text) if is_json and not is_unicode() else text, end="")
    if options.json:
        named = {"file": options.output, "format": options.format}
        say(json.dumps({"study": document["study"], "trial": entry.number} | named))
    return 0


def _verify(options: argparse.Namespace) -> int:
    from ..export.verify import verify

    score = verify(options.file)
    say(f"{options.file}: {score.split} score {score.found!r} on {score.n} rows, as exported")
    if options.json:
        say(json.dumps(asdict(score)))
    return 0


def _gate(options: argparse.Namespace) -> int:
    from ..export.document import write_text
    from ..gating import gate
    from .gate_report import EXIT_CODES, gate_lines, gate_markdown

    result = gate(options.file, against=options.against, data=options.data, margin=options.margin)
    say("\n".join(gate_lines(result)))
    if options.markdown:
        write_text(options.markdown, gate_markdown(result))
    code = EXIT_CODES[result.verdict]
    if options.json:
        _say_json(result.to_dict() | {"exit_code": code})
    return code


def _list(options: argparse.Namespace) -> int:
    from ..plugins import available, load

    group = f"promptfront.{options.group}"
    installed = available(group)
    rows = {
        name: f"{point.dist.name if point.dist else '?'}  {point.value}"
        for name, point in sorted(installed.items())
    }
    if options.group == "tasks":  # what a task is made of says more than where its code is
        for name in rows:
            rows[name] = getattr(load(group, name), "source", None) or rows[name]
    width = max(map(len, rows), default=0)
    say("\n".join(f"{name.ljust(width)}  {row}" for name, row in rows.items()))
    if options.json:
        say(json.dumps({options.group: sorted(installed)}))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import examine

    examination = examine(options.backend, options.model, backend_options(options))
    say("\n".join(f"{name.ljust(12)} {text}" for name, text in examination.lines()))
    if options.json:
        _say_json(examination.to_dict())
    return 0
