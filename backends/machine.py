"""What models run on."""

from __future__ import annotations

import psutil

_GIB = 2**30


def describe_device() -> str:
    """Return the GPUs of this machine, or its cores and memory where it has none."""
    cores, memory = psutil.cpu_count(logical=False), psutil.virtual_memory()
    free = f"{memory.available / _GIB:.0f} of {memory.total / _GIB:.0f} GiB memory free"
    try:
        import torch
    except ImportError:  # an installation that calls servers alone
        return f"no torch; {cores} CPU cores, {free}"
    if torch.cuda.is_available():
        gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        return ", ".join(f"{gpu.name} ({gpu.total_memory / _GIB:.0f} GiB)" for gpu in gpus)
    return f"no GPU; {cores} CPU cores, {torch.backends.cpu.get_cpu_capability()}, {free}"
