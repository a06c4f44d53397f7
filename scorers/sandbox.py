"""Runs a program where it can do no harm; a script of its own with the standard library alone.

    python -I -S sandbox.py INTERPRETER LIMITS SOURCE [DESCRIPTOR ...]

The program becomes the first process of new Linux namespaces (see namespaces(7)): no network, no
other process to be seen or signalled, no file but the system's libraries and the interpreter,
read-only, an empty folder to write to and an empty environment, limits on processor time, memory,
file size, processes and open files. When it ends, the kernel ends whatever it started. Exit code 99
says that this machine cannot do all of this, and then nothing has run.
"""

import ctypes
import json
import os
import resource
import signal
import sys

CANNOT = 99
_NEW = (
    0x20000 | 0x4000000 | 0x8000000 | 0x20000000 | 0x40000000
)  # mounts, host name, IPC, processes, network
_NEW_USER = 0x10000000
_BIND, _REC, _PRIVATE, _REMOUNT = 0x1000, 0x4000, 0x40000, 0x20
_READ_ONLY, _NO_SUID, _NO_DEV, _NO_EXEC = 0x1, 0x2, 0x4, 0x8
_DETACH = 2
_NO_NEW_PRIVILEGES, _DIE_WITH_PARENT = 38, 1
_SYSTEM = ("/usr", "/bin", "/lib", "/lib64")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_FIRST_FREE_USER = 1_000_000_000
_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Isolate this process, and run the program in a child."""
    interpreter, limits, source, *descriptors = sys.argv[1:]
    root = os.getuid() == 0
    try:
        _isolate(root)
        _enter_new_root(os.path.dirname(os.path.dirname(interpreter)))
    except OSError as error:
        print(f"this machine cannot isolate a program: {error}", file=sys.stderr)
        sys.exit(CANNOT)
    # Closed by the program's beginning, so only a failure before it is told: a program may exit
    # with any code.
    failed, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _become(
                interpreter, json.loads(limits), source, [int(d) for d in descriptors], root, tell
            )
        finally:
            os.write(tell, b"x")
            os._exit(CANNOT)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGKILL))
    _close_all_but([2, failed])
    _, status = os.waitpid(child, 0)
    os._exit(CANNOT if os.read(failed, 1) else int(status != 0))


def _isolate(root: bool) -> None:
    user, group = os.getuid(), os.getgid()
    _call("unshare", _NEW if root else _NEW | _NEW_USER)
    if not root:  # a namespace of users lets one who is not root make the others
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")


def _enter_new_root(prefix: str) -> None:
    """Make a root folder in memory that holds what an interpreter needs, and leave the old one."""
    _call("mount", None, b"/", None, _REC | _PRIVATE, None)
    new = b"/tmp"
    _call("mount", b"none", new, b"tmpfs", _NO_SUID | _NO_DEV, b"size=32m,mode=755")
    for path in (*_SYSTEM, prefix):
        if os.path.islink(path):
            os.symlink(os.readlink(path), os.fsdecode(new) + path)
        elif os.path.isdir(path) and not os.path.isdir(os.fsdecode(new) + path):
            os.makedirs(os.fsdecode(new) + path, exist_ok=True)
            _bind(path, new, _READ_ONLY | _NO_SUID | _NO_DEV)
    os.makedirs("/tmp/dev", exist_ok=True)
    for device in _DEVICES:
        _write(os.fsdecode(new) + device, "")
        _bind(device, new, _READ_ONLY | _NO_SUID | _NO_EXEC)
    os.makedirs("/tmp/work", mode=0o777)
    os.chmod("/tmp/work", 0o777)
    os.makedirs("/tmp/old")
    _call("pivot_root", new, b"/tmp/old") if hasattr(_libc, "pivot_root") else _syscall_pivot_root(
        new, b"/tmp/old"
    )
    os.chdir("/")
    _call("umount2", b"/old", _DETACH)
    os.rmdir("/old")
    os.chdir("/work")


def _bind(path: str, new: bytes, flags: int) -> None:
    target = new + os.fsencode(path)
    _call("mount", os.fsencode(path), target, None, _BIND | _REC, None)
    _call("mount", None, target, None, _BIND | _REMOUNT | flags, None)


def _syscall_pivot_root(new: bytes, old: bytes) -> None:
    number = {"x86_64": 155, "aarch64": 41}.get(os.uname().machine)
    if number is None:
        raise OSError(f"no number of pivot_root is known for {os.uname().machine}")
    _call("syscall", number, new, old)


def _become(
    interpreter: str,
    limits: dict[str, int],
    source: str,
    descriptors: list[int],
    root: bool,
    tell: int,
) -> None:
    """Give up what is left of rights, and become the program."""
    for name in ("CPU", "AS", "FSIZE", "NPROC", "NOFILE", "CORE"):
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limits[name], limits[name]))
    if root:
        user = (
            _FIRST_FREE_USER + limits["number"]
        )  # of its own, so that its processes can be counted
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _call("prctl", _DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    os.setsid()
    _close_all_but([0, 1, 2, tell, *descriptors])
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    os.execve(
        interpreter,
        [interpreter, "-I", "-S", "-c", source, *map(str, descriptors)],
        {"LANG": "C.UTF-8"},
    )


def _close_all_but(kept: list[int]) -> None:
    start = 0
    for descriptor in [*sorted(kept), resource.getrlimit(resource.RLIMIT_NOFILE)[0]]:
        if start < descriptor:  # an empty range closes everything
            os.closerange(start, descriptor)
        start = descriptor + 1


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


if __name__ == "__main__":
    main()
