"""Programs that must pass tests, and thirty that try everything else."""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from promptfront.scorers import code_tests
from promptfront.scorers.code_tests import PassesTests, failure, program
from promptfront.search.contracts import Example
from promptfront.search.errors import InputError
from promptfront.search.tasks.code import code_complete

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHECK = (
    "def check(candidate):\n    assert candidate(2, 3) == 5\n    assert candidate(-1, 1) == 0\n    "
    "assert candidate([1], [2]) == [1, 2]\n"
)
_FORGERS = {
    "exits at once": "import os; os._exit(0)",
    "exits as a jail that cannot isolate": "import os; os._exit(99)",
    "exits when called": "import sys\ndef add(a, b): sys.exit(0)",
    "kills itself when called": "import os\ndef add(a, b): os._exit(0)",
    "equals everything": (
        "class E:\n    def __eq__(self, _): return True\ndef add(a, b): return E()"
    ),
    "shows itself as right": (
        "class E:\n    def __repr__(self): return '5'\ndef add(a, b): return E()"
    ),
    "answers in advance": (
        "import os, sys\nfor _ in range(9): os.write(int(sys.argv[2]), b\"('returned', "
        '5)\\n")\ndef add(a, b): return 0'
    ),
    "answers code": (
        "class E:\n    def __repr__(self): return '__import__(\"os\")._exit(0)'\ndef add(a, b): "
        "return E()"
    ),
    "raises what ends tests": "def add(a, b): raise SystemExit(0)",
    "redefines assert's friends": (
        "import builtins\nbuiltins.AssertionError = ValueError\ndef add(a, b): return 0"
    ),
    "patches comparison": "import operator\noperator.eq = lambda *_: True\ndef add(a, b): return 0",
    "looks for the tests": (
        "import gc\ndef add(a, b): return next(o for o in gc.get_objects() if isinstance(o, str) "
        "and 'assert' in o)"
    ),
    "closes the pipe": "import os, sys\ndef add(a, b): os.close(int(sys.argv[2])); return 5",
}
_BREAKERS = {
    "forks without end": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "forks and hides": (
        "import os, time\nfor _ in range(9):\n    if os.fork() == 0:\n        os.setsid(); "
        "time.sleep(600)\ndef add(a, b): return 0"
    ),
    "starts threads": (
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, "
        "args=(600,)).start()"
    ),
    "loops": "while True: pass",
    "loops when called": "def add(a, b):\n    while True: pass",
    "sleeps": "import time; time.sleep(600)",
    "takes 10 GB": "x = bytearray(10 << 30)\ndef add(a, b): return 0",
    "takes memory bit by bit": "x = []\nwhile True: x.append(bytearray(1 << 20))",
    "floods stdout": "while True: print('x' * 65536)",
    "floods the pipe": "import os, sys\nwhile True: os.write(int(sys.argv[2]), b'x' * 65536)",
    "fills the disk": "f = open('/work/x', 'wb')\nwhile True: f.write(b'x' * 65536)",
    "fills the disk with files": (
        "i = 0\nwhile True:\n    i += 1\n    open(f'/work/{i}', 'wb').write(b'x' * 65536)"
    ),
    "opens files without end": "x = []\nwhile True: x.append(open('/dev/null'))",
    "recurses": "def add(a, b): return add(a, b)",
    "answers without end": "def add(a, b): return 'x' * (1 << 28)",
    "crashes the interpreter": "import ctypes; ctypes.string_at(0)",
}
_SPIES = {
    "writes outside": "open({outside!r}, 'w').write('x')\ndef add(a, b): return 0",
    "writes into the interpreter": (
        "import json\nopen(json.__file__, 'a').write('x')\ndef add(a, b): return 0"
    ),
    "reads the environment": (
        "import os\nassert 'SECRET' in os.environ or b'SECRET' in open('/proc/1/environ', "
        "'rb').read()\ndef add(a, b): return a + b"
    ),
    "reads files": "assert open({outside!r}).read()\ndef add(a, b): return a + b",
    "reads home": (
        "import os\nassert os.listdir(os.path.expanduser('~root')) != ['.pyenv'] and "
        "os.listdir('/home')\ndef add(a, b): return a + b"
    ),
    "reads users": "assert open('/etc/passwd').read()\ndef add(a, b): return a + b",
    "calls home": (
        "import socket\nsocket.create_connection(('127.0.0.1', {port}), 2).send(b'x')\ndef add(a, "
        "b): return a + b"
    ),
    "calls out": (
        "import socket\nsocket.create_connection(('1.1.1.1', 80), 2)\ndef add(a, b): return a + b"
    ),
    "signals its parents": (
        "import os\nfor pid in (os.getppid() or 10**9, {pid}): os.kill(pid, 9)\ndef add(a, b): "
        "return a + b"
    ),
    "traces another": (
        "import ctypes\nassert ctypes.CDLL(None).ptrace(16, {pid}, 0, 0) == 0\ndef add(a, b): "
        "return a + b"
    ),
    "becomes root": "import os\nos.setuid(0)\ndef add(a, b): return a + b",
    "mounts": (
        "import ctypes\nassert ctypes.CDLL(None).mount(b'none', b'/work', b'tmpfs', 0, None) == "
        "0\ndef add(a, b): return a + b"
    ),
    "inherits files": (
        "import os, sys\nfor d in range(3, 32):\n    if d not in map(int, sys.argv[1:]):\n        "
        "os.read(d, 1)\n        break\nelse: raise ValueError\ndef add(a, b): return a + b"
    ),
}


def add(reply: str) -> Example:
    """Return an example whose program adds, with its tests."""
    return Example((("text", reply[:20]),), "", hidden=(("entry_point", "add"), ("tests", _CHECK)))


@pytest.fixture(scope="module")
def jail() -> None:
    """Skip where programs cannot be isolated; then none is run either."""
    try:
        failure("def f(): return 1", "f", "", "assert f() == 1")
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """Listen on a port of this machine."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    heard.append(server.accept()[0].recv(1))
                except OSError:
                    return

        threading.Thread(target=listen, daemon=True).start()
        yield server.getsockname()[1], heard


@pytest.mark.usefixtures("jail")
def test_right_programs_pass_and_wrong_ones_do_not() -> None:
    """By the function's values; what it raises is raised in the tests."""
    assert not failure("def add(a, b): return a + b", "add", "", _CHECK)
    assert not failure(
        "import math\ndef add(a, b):\n    print('x')\n    return a + b", "add", "", _CHECK
    )
    assert failure("def add(a, b): return a - b", "add", "", _CHECK)
    assert failure("def add(a, b) return a", "add", "", _CHECK)
    assert failure("", "add", "", _CHECK)
    raising = (
        "try:\n    add(1, '2')\nexcept TypeError:\n    pass\nelse:\n    raise AssertionError\n"
    )
    assert not failure("def add(a, b): return a + b", "add", "", raising)
    assert not failure(
        "def add(a, b): return {'好': (a, {b}), 'x': [None, 1.5, b'y']}",
        "add",
        "",
        "assert add(1, 2)['好'] == (1, {2})",
    )


@pytest.mark.usefixtures("jail")
@pytest.mark.parametrize(
    ("cpu", "wall"),
    [
        (1, 4),
        pytest.param(code_tests._SECONDS, code_tests._WALL_SECONDS, marks=pytest.mark.slow),
    ],
)
def test_hostile_programs_fail_and_harm_nothing(
    tmp_path: Path,
    listener: tuple[int, list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
    cpu: int,
    wall: int,
) -> None:
    """All of them at once; afterwards files, processes and the listener are as before."""
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setattr(code_tests, "_WALL_SECONDS", wall)
    monkeypatch.setitem(code_tests._LIMITS, "CPU", cpu)
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    facts = {"outside": str(outside), "port": listener[0], "pid": os.getpid()}
    spies = {name: code.format(**facts) for name, code in _SPIES.items()}
    programs = _FORGERS | _BREAKERS | spies
    assert len(programs) >= 30
    before = {p.pid for p in psutil.process_iter()}
    started = time.monotonic()
    values = PassesTests().score_replies(
        [add(code) for code in programs.values()], list(programs.values())
    )
    assert [] == [name for name, value in zip(programs, values, strict=True) if value != 0]
    assert time.monotonic() - started < 300
    assert outside.read_text() == "untouched"
    assert [] == listener[1]
    new = [p for p in psutil.process_iter(["cmdline", "uids"]) if p.pid not in before]
    assert [] == [
        p
        for p in new
        if "sandbox.py" in " ".join(p.info["cmdline"] or ()) or p.info["uids"].real >= 10**9
    ]


@pytest.mark.usefixtures("jail")
@pytest.mark.parametrize("most", [16, pytest.param(164, marks=pytest.mark.slow)])
def test_the_field_s_own_solutions_pass(most: int) -> None:
    """Every solution of 164, as a continuation and as a whole; and none of the empty ones."""
    task = code_complete()
    rows = (*task.train, *task.dev, *task.test)
    assert len(rows) > 150
    rows = rows[:most]
    scorer = PassesTests()
    assert {1.0} == {*scorer.score_replies(rows, [row.target for row in rows])}
    some = rows[:8]
    whole = [
        f"Here it is:\n```python\n{dict(row.hidden)['prompt']}    {row.target}\n```\nDone."
        for row in some
    ]
    assert {1.0} == {*scorer.score_replies(some, whole)}
    assert {0.0} == {*scorer.score_replies(some, [""] * len(some))}


def test_without_tests_there_is_no_score() -> None:
    """Not 0 either."""
    assert PassesTests().score_replies([Example((("text", "x"),), "y")], ["z"]) == [None]


@pytest.mark.parametrize(
    ("reply", "ending"),
    [
        ("    return a\n\nprint(1)", "def f(a):\n    return a\n"),
        ("return a", "def f(a):\n    return a\n"),
        ("def f(a):\n    return a", "def f(a):\n\n    pass\n\ndef f(a):\n    return a"),
        ("```python\ndef f(a):\n    return a\n```\nThis", "\n\ndef f(a):\n    return a\n"),
        (
            "    if a:\n        return [\n    1,\n    ]\n# so\nx",
            "        return [\n    1,\n    ]\n# so\n",
        ),
    ],
)
def test_programs_are_found_in_replies(reply: str, ending: str) -> None:
    """Continuations end with the function.

    Code blocks and whole functions are taken as they are.
    """
    assert program(reply, "def f(a):\n", "f").endswith(ending)
