"""Where a model runs: on which device, in which dtype, on how many threads."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

from ...search.errors import BackendError

AUTO = "auto"
DTYPES = (AUTO, "float32", "bfloat16", "float16", "int8")
_MULTIPLIES_BFLOAT16 = frozenset({"amx_tile", "amx_bf16"})
"""Flags of a processor with a tile unit (AMX) for bfloat16."""
_CPUINFO = Path("/proc/cpuinfo")


def device_of(name: str | None) -> str:
    """Return the device that was asked for; by default the first GPU or the CPU."""
    return name or ("cuda" if torch.cuda.is_available() else "cpu")


def check_device(device: str) -> None:
    """Raise `BackendError` if this machine has no such device."""
    if device == AUTO:
        return
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0][:120]
        raise BackendError(
            f"`device` {device}: expected a device that this machine has ({reason})"
        ) from error


def dtype_of(name: str, device: str) -> str:
    """Return the dtype that was asked for; ``"auto"`` is the device's own fast one.

    Raises
    ------
    BackendError
        If there is no such dtype, or not on this device.
    """
    if name not in DTYPES:
        raise BackendError(f"`dtype`: expected one of {', '.join(DTYPES)}, found {name}")
    if name == "int8" and device != "cpu":
        raise BackendError(
            f"`dtype` int8: expected `device` cpu, found {device}; "
            "on a GPU bfloat16 is the fast choice"
        )
    return fast_dtype(device, processor_flags()) if name == AUTO else name


def fast_dtype(device: str, flags: Collection[str]) -> str:
    """Return bfloat16 where the device multiplies it in hardware, else float32.

    Parameters
    ----------
    device
        The kind of device: every GPU counts as one that does.
    flags
        What the machine's processor can do, as Linux names it.
    """
    if device == "cpu" and not _MULTIPLIES_BFLOAT16.issubset(flags):
        return "float32"
    return "bfloat16"


def processor_flags() -> frozenset[str]:
    """Return what this machine's processor can do; nothing where the system does not say."""
    try:
        lines = _CPUINFO.read_text(errors="replace").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


@contextmanager
def physical_cores(device: str) -> Iterator[None]:
    """Compute on a thread for each core for a while: hyper-threads share their core's multipliers.

    A user's own choice, OMP_NUM_THREADS, stands; a GPU needs no threads.
    """
    if device != "cpu" or "OMP_NUM_THREADS" in os.environ:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(min(threads, psutil.cpu_count(logical=False) or 1))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
