"""The machine that a profile holds for."""

import platform
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from models import SplitViT
from scheduling.profile import Machine
from transport.untrusted import printable

CPUINFO = Path("/proc/cpuinfo")


def describe_machine(model: SplitViT) -> Machine:
    """This machine, as `model` runs on it with the threads that are set."""
    return Machine(
        host=_text(platform.node()),
        processor=_text(processor_name(model.device)),
        system=_text(platform.platform()),
        dtype=model.dtype,
        device=str(model.device),
        threads=torch.get_num_threads(),
        versions={"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def processor_name(device: torch.device) -> str:
    """What computes: the CUDA device's name, or the processor's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpu_name() or platform.processor() or platform.machine()


def _cpu_name() -> str:
    try:
        lines = CPUINFO.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    fields = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in fields if key.strip() == "model name"), "")


def _text(words: str) -> str:
    return printable(words)[:256] or "unknown"
