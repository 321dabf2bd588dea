"""The counters of NVIDIA GPUs, as their driver shows them (NVML)."""

import importlib
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from pipeline.clock import Clock
from pipeline.energy.counter import Counter
from pipeline.energy.integral import Integral
from pipeline.energy.source import EnergySource

log = logging.getLogger(__name__)

T = TypeVar("T")

MILLI = 1e-3


def installed_nvml() -> Any | None:
    """The module of the package nvidia-ml-py; None where it is not installed."""
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        return None


def gpus(nvml: Any | None, clock: Clock) -> list[EnergySource]:
    """Each GPU's counter, or the integral of its power where it does not count. What is not shown is not
    there; the log says so."""
    if nvml is None:
        return []
    try:
        _asked(nvml, nvml.nvmlInit)
        number = _asked(nvml, nvml.nvmlDeviceGetCount)
    except OSError as error:
        log.info("energy of GPUs is not shown: %s", error)
        return []
    found = [_source(nvml, index, clock) for index in range(number)]
    return [source for source in found if source is not None]


def _source(nvml: Any, index: int, clock: Clock) -> EnergySource | None:
    name = f"gpu-{index}"
    try:
        device = _asked(nvml, nvml.nvmlDeviceGetHandleByIndex, index)
        try:
            return Counter(
                name, lambda: int(_asked(nvml, nvml.nvmlDeviceGetTotalEnergyConsumption, device)), MILLI
            )
        except OSError:
            return Integral(
                name, lambda: float(_asked(nvml, nvml.nvmlDeviceGetPowerUsage, device)) * MILLI, clock
            )
    except OSError as error:
        log.info("energy of %s is not shown: %s", name, error)
        return None


def _asked(nvml: Any, function: Callable[..., T], *arguments: object) -> T:
    """What `function` returns; an error of NVML becomes an OSError."""
    try:
        return function(*arguments)
    except nvml.NVMLError as error:
        raise OSError(f"NVML: {error}") from None
