"""Code that must pass tests.

Programs a model writes are hostile until proven otherwise: they run in a jail (`sandbox.py`).

The program and its tests never share a process. Tests call the program's function through a pipe
that carries plain values, so a program can neither see what is expected of it, nor end the tests
early, nor answer with an object that equals everything.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..search.contracts import ReplyScorer, Score
from ..search.errors import InputError
from .sandbox import CANNOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..search.contracts import Example

_SECONDS, _WALL_SECONDS = 5, 10
_LIMITS = {"CPU": _SECONDS, "AS": 512 << 20, "FSIZE": 1 << 20, "NPROC": 16, "NOFILE": 32, "CORE": 0}
_JAIL = Path(__file__).with_name("sandbox.py")
_NUMBERS = itertools.count()
_SHOWN = 200
"""Characters of a failure that are told."""
_NO_ANSWER = "the program does not run, or does not come to an end"
_FENCE = re.compile(r"```[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL)
_BODY_ENDS = re.compile(r"\n(?=[^\s#)\]}])")

_PROGRAM = """
import ast, os, sys
requests, replies = os.fdopen(int(sys.argv[1])), os.fdopen(int(sys.argv[2]), "w")
source, name = ast.literal_eval(requests.readline())
space = {"__name__": "program"}
exec(compile(source, "program", "exec"), space)
for line in requests:
    arguments, named = ast.literal_eval(line)
    try:
        answer = "returned", space[name](*arguments, **named)
    except Exception as error:
        answer = "raised", type(error).__name__
    replies.write(repr(answer) + "\\n")
    replies.flush()
"""
_TESTS = """
import ast, builtins, os, sys
requests, replies = os.fdopen(int(sys.argv[1]), "w"), os.fdopen(int(sys.argv[2]))
def send(value):
    requests.write(repr(value) + "\\n")
    requests.flush()
def candidate(*arguments, **named):
    try:
        send((arguments, named))
        line = replies.readline(1 << 20)
    except OSError:
        os._exit(1)
    if not line.endswith("\\n"):
        os._exit(1)
    kind, value = ast.literal_eval(line)
    if kind == "raised":
        found = getattr(builtins, value, None)
        known = isinstance(found, type) and issubclass(found, Exception)
        raise (found if known else RuntimeError)(value)
    return value
source, name, prelude, tests = ast.literal_eval(sys.stdin.read())
send((source, name))
space = {"__name__": "tests"}
try:
    exec(compile(prelude, "prelude", "exec"), space)
    space[name] = candidate
    exec(compile(tests, "tests", "exec"), space)
    space.get("check", lambda _: None)(candidate)
except BaseException as error:
    at, lines = error.__traceback__, tests.split("\\n")
    found = [""]
    while at:
        if at.tb_frame.f_code.co_filename == "tests":
            found.append(lines[at.tb_lineno - 1].strip())
        at = at.tb_next
    kind, why = type(error).__name__, str(error)
    why = kind if why in ("", kind) else f"{kind}: {why}"
    os.write(1, f"{found[-1]} -> {why}"[:1000].encode("utf-8", "replace"))
    os._exit(1)
os._exit(0)
"""


class PassesTests(ReplyScorer):
    """Whether the program in a reply passes the example's tests.

    That is pass@1 of one reply (Chen et al. 2021, arXiv 2107.03374). The example's hidden fields
    say how: ``tests`` is code that defines ``check(candidate)`` or calls the function by its name,
    ``entry_point`` that name, and ``prompt``, if there is one, the code that the reply may
    continue.

    Raises
    ------
    InputError
        If this machine cannot isolate a program: then nothing is run.
    """

    def score_replies(
        self, examples: Sequence[Example], replies: Sequence[str]
    ) -> list[float | None]:
        """Return 1 for each program that passes, else 0; None where there are no tests."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(self._score, examples, replies))

    def _score(self, example: Example, reply: str) -> float | None:
        hidden = dict(example.hidden)
        if not hidden.get("tests") or not hidden.get("entry_point"):
            return None
        prompt, name = hidden.get("prompt", ""), hidden["entry_point"]
        prelude = f"{prompt}\n    pass\n" if prompt else ""
        failed = failure(program(reply, prompt, name), name, prelude, hidden["tests"])
        return Score(0.0, failed) if failed else 1.0


@dataclass(frozen=True, slots=True)
class PassAtK(PassesTests):
    """Whether one of ``k`` programs passes the tests, estimated from random ``samples``."""

    k: int = 5
    samples: int = 10

    def combine(self, values: Sequence[float]) -> float:
        """Return pass@k of one example."""
        return pass_at_k(len(values), round(sum(values)), self.k)


def pass_at_k(samples: int, passing: int, k: int) -> float:
    """Return the chance that one of ``k`` of the samples passes, without bias.

    Chen et al. 2021, arXiv 2107.03374, equation 1.
    """
    return 1 - math.comb(samples - passing, k) / math.comb(samples, k)


def program(reply: str, prompt: str, name: str) -> str:
    """Return the program a reply stands for: its code block if it has one, else all of it.

    All of it may continue the prompt. A continuation ends where a line is no longer indented.
    """
    fenced = _FENCE.search(reply)
    code = fenced.group(1) if fenced else reply
    if not prompt or re.search(rf"^\s*(async\s+)?def\s+{re.escape(name)}\b", code, re.MULTILINE):
        # Imports and helpers before the function in the prompt are there for the reply too.
        return f"{prompt}\n    pass\n\n{code}" if prompt else code
    first = code if code[:1].isspace() else f"    {code}"
    return prompt + _BODY_ENDS.split(first.rstrip(), maxsplit=1)[0].rstrip() + "\n"


def failure(source: str, name: str, prelude: str, tests: str) -> str:
    """Run tests against a program's function, each in a jail of its own; return which one failed.

    Parameters
    ----------
    source
        The program, which is not trusted.
    name
        The function that is tested.
    prelude
        Code that the tests need.
    tests
        Code that defines ``check(candidate)`` or calls the function by its name.

    Returns
    -------
    failure
        Empty where all pass; else the failed line and its error, as the tests' process says it.

    Raises
    ------
    InputError
        If this machine cannot isolate a program.
    """
    job = repr((source, name, prelude, tests)).encode("utf-8", "surrogatepass")
    asks, answers = os.pipe(), os.pipe()
    started, said = [], b""
    try:
        started.append(_start(_PROGRAM, (asks[0], answers[1]), subprocess.DEVNULL))
        started.append(_start(_TESTS, (asks[1], answers[0]), subprocess.PIPE))
        for descriptor in (*asks, *answers):
            os.close(descriptor)
        with suppress(subprocess.TimeoutExpired):
            said = started[1].communicate(job, timeout=_WALL_SECONDS)[0]
    finally:
        for process in started:
            _end(process)
    if CANNOT in {process.returncode for process in started}:
        raise InputError(
            "expected Linux user namespaces, in which programs run isolated, but this machine does "
            "not allow them, so none was run; allow user namespaces, or run as root"
        )
    if started[1].returncode == 0:
        return ""
    return " ".join(said.decode("utf-8", "replace").split())[:_SHOWN] or _NO_ANSWER


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a jail: asked to, it ends its program and leaves nothing behind."""
    process.terminate()
    try:
        process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout:
        process.stdout.close()


def _start(source: str, descriptors: tuple[int, int], stdin: int) -> subprocess.Popen[bytes]:
    interpreter = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    number = (os.getpid() << 8 | next(_NUMBERS) & 0xFF) & 0x3FFFFFFF
    words = [
        interpreter,
        "-I",
        "-S",
        str(_JAIL),
        interpreter,
        json.dumps(_LIMITS | {"number": number}),
        source,
    ]
    return subprocess.Popen(  # noqa: S603 (our own script; the program goes through a pipe)
        [*words, *map(str, descriptors)],
        stdin=stdin,
        stdout=stdin,  # what the tests say is read, and what a program says is not
        stderr=subprocess.DEVNULL,
        env={},
        pass_fds=descriptors,
        start_new_session=True,
    )
