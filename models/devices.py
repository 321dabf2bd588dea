"""Names of what a model runs on."""

import re

from pipeline.errors import ModelError

_DEVICE = re.compile(r"(cpu|cuda)(:\d{1,2})?", re.ASCII)


def require_device(device: str) -> None:
    """ModelError for what names none; whether this machine has it is not asked, and torch not loaded."""
    if not _DEVICE.fullmatch(device):
        raise ModelError(f"device {device!r} is unknown; choose cpu, cuda or cuda:N")
