"""Standard output and error as a shell gives them.

They may be closed, full, a broken pipe, or have too small an encoding.
"""

from __future__ import annotations

import codecs
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ESCAPES = "promptfront-escapes"


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Return what an encoding lacks as JSON writes it, so that JSON stays JSON in all of them."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2)), error.end


codecs.register_error(_ESCAPES, _escape)


class _Lossy:
    """A stream of which nobody depends: what it cannot take is lost, and whoever writes goes on."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 (any text stream)
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            _discard(self._stream)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the stream has)
        return getattr(self._stream, name)


@contextmanager
def lenient() -> Iterator[None]:
    """Let no character and no fault of standard error be an error while the block runs."""
    before = sys.stderr
    with (
        Path(os.devnull).open("w", encoding="utf-8") as null,
        _escaping(sys.stdout),
        _escaping(before),
    ):
        sys.stderr = _Lossy(before or null)
        try:
            yield
        finally:
            sys.stderr = before


@contextmanager
def _escaping(stream: Any) -> Iterator[None]:  # noqa: ANN401 (any text stream, or none)
    reconfigure, errors = getattr(stream, "reconfigure", None), getattr(stream, "errors", None)
    if reconfigure is None:
        yield
        return
    reconfigure(errors=_ESCAPES)
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            reconfigure(errors=errors)


def open_closed() -> None:
    """Open the null device for closed standard streams: a database would get their numbers."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def is_unicode() -> bool:
    """Whether standard output can hold every character."""
    encoding = getattr(sys.stdout, "encoding", None)
    return encoding is None or codecs.lookup(encoding).name.startswith("utf")


def ascii_json(text: str) -> str:
    """Return JSON text in ASCII alone."""
    return text.encode("ascii", _ESCAPES).decode()


def printable(text: str) -> str:
    """Return a text as one line, with what would act on a terminal written as an escape."""
    line = "".join(" " if one.isspace() else one for one in text)
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in line)


def clipped(text: str, width: int) -> str:
    """Return a text, with an ellipsis for what is over its width."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def say(text: str, end: str = "\n") -> None:
    """Print on standard output; a reader that has read enough is no error.

    Raises
    ------
    InputError
        If it is closed, full or cannot be written.
    """
    if sys.stdout is None:
        raise InputError("standard output is closed")
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        _discard(sys.stdout)
    except (OSError, ValueError) as error:
        _discard(sys.stdout)
        raise InputError(
            f"standard output cannot be written ({getattr(error, 'strerror', None) or error})"
        ) from None


def tell(text: str) -> None:
    """Print on standard error."""
    print(text, file=sys.stderr, flush=True)


def _discard(stream: Any) -> None:  # noqa: ANN401 (any text stream)
    """Lead a stream to the null device.

    What waits to be written would fail again when Python ends.
    """
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
