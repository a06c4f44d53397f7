"""Where a model runs: the device's own fast dtype, and the threads that compute."""

from pathlib import Path

import pytest
import torch

from promptfront.backends.models import device
from promptfront.backends.models.device import (
    dtype_of,
    fast_dtype,
    physical_cores,
    processor_flags,
)
from promptfront.search.errors import BackendError

_AMX = {"avx512f", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8"}


@pytest.mark.parametrize(
    ("kind", "flags", "expected"),
    [
        ("cpu", _AMX, "bfloat16"),
        ("cpu", _AMX - {"amx_bf16"}, "float32"),
        ("cpu", _AMX - {"amx_tile"}, "float32"),
        ("cpu", {"avx2", "fma"}, "float32"),
        ("cpu", set[str](), "float32"),
        ("cuda", set[str](), "bfloat16"),
        ("auto", set[str](), "bfloat16"),
    ],
)
def test_the_fast_dtype_is_what_the_hardware_multiplies(
    kind: str, flags: set[str], expected: str
) -> None:
    """A GPU takes bfloat16, a processor only with AMX; where flags are unknown, float32 is safe."""
    assert fast_dtype(kind, flags) == expected


def test_the_flags_are_those_of_the_first_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read as Linux writes them; elsewhere there are none, and `auto` is float32."""
    cpuinfo = tmp_path / "cpuinfo"
    monkeypatch.setattr(device, "_CPUINFO", cpuinfo)
    assert processor_flags() == frozenset()
    assert dtype_of("auto", "cpu") == "float32"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu amx_bf16 amx_tile\nbugs\t\t: none\n")
    assert processor_flags() == {"fpu", "amx_bf16", "amx_tile"}
    assert dtype_of("auto", "cpu") == "bfloat16"
    assert dtype_of("float32", "cpu") == "float32"


def test_int8_is_for_processors() -> None:
    """On a GPU one sentence says what to take instead."""
    with pytest.raises(BackendError, match="on a GPU bfloat16 is the fast choice"):
        dtype_of("int8", "cuda")


def test_threads_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's own count of threads stands, before, after, and where it was asked for."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("psutil.cpu_count", lambda logical: 1)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with physical_cores("cpu"):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        with physical_cores("cpu"):
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
