"""What this machine takes, summed over all that shows it."""

import logging
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Self

from pipeline.clock import Clock
from pipeline.energy.nvml import gpus, installed_nvml
from pipeline.energy.rails import input_rails
from pipeline.energy.rapl import rapl_counters
from pipeline.energy.source import EnergySource

log = logging.getLogger(__name__)

SYSTEM = Path("/sys")
PATIENCE_S = 1.0


class EnergyMeter:
    """Reads `sources`, no two of which count the same joule: when asked, by any thread that may block, and,
    while the context lasts, as often as they want, on a thread of its own. Without any it shows nothing."""

    def __init__(self, sources: Sequence[EnergySource] = ()) -> None:
        self._sources = tuple(sources)
        self._failed: set[str] = set()
        self._lock = Lock()
        self._over = Event()
        self._thread: Thread | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the sources."""
        return tuple(source.name for source in self._sources)

    def joules(self) -> float | None:
        """What all sources took since they were made; None without any, or while one does not show it."""
        found = self.by_source()
        return sum(found.values()) if found and len(found) == len(self._sources) else None

    def by_source(self) -> dict[str, float]:
        """The joules of each source that shows them now, by name; what does not is in the log, once."""
        with self._lock:
            readings = {source.name: self._read(source) for source in self._sources}
        return {name: joules for name, joules in readings.items() if joules is not None}

    def __enter__(self) -> Self:
        if self._sources:
            self._over.clear()
            self._thread = Thread(target=self._watch, name="energy", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)

    def _watch(self) -> None:
        period_s = min(source.period_s for source in self._sources)
        while not self._over.wait(period_s):
            self.by_source()

    def _read(self, source: EnergySource) -> float | None:
        try:
            return source.joules()
        except OSError as error:
            if source.name not in self._failed:
                self._failed.add(source.name)
                log.warning("energy of %s was not shown: %s", source.name, error)
            return None


def machine_meter(clock: Clock, system: Path | None = None, nvml: Any | None = None) -> EnergyMeter:
    """A meter of this machine: of its board where that has a rail for all; otherwise of its GPUs and its
    processors' packages, or, where there is no GPU, of the whole platform if that is counted.

    `system` is the folder that Linux shows it in, `nvml` the module that asks GPUs, if not the usual ones.
    """
    system = system or SYSTEM
    if rails := input_rails(system, clock):
        return EnergyMeter(rails)
    cards = gpus(nvml or installed_nvml(), clock)
    return EnergyMeter([*rapl_counters(system, whole_platform=not cards), *cards])
