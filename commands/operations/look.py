"""One look at a running program: taken on its event loop, told on another thread."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import ProcessCollector
from prometheus_client.core import Metric

PROCESS = ProcessCollector(registry=None)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the program does its work; `degraded` says what it does without meanwhile."""

    ready: bool
    why: str
    degraded: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"ready": self.ready, "why": self.why, "degraded": list(self.degraded)}


@dataclass(frozen=True, slots=True)
class Look:
    """`here` was taken on the loop; `elsewhere` and `readiness` ask what may make them wait (a lock that is
    held while a disk writes), so they are for another thread. A collector of prometheus_client."""

    here: tuple[Metric, ...]
    readiness: Callable[[], Readiness]
    elsewhere: Callable[[], Iterable[Metric]] = tuple

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        yield from self.here
        yield from self.elsewhere()
        yield from PROCESS.collect()


class Watched(Protocol):
    """A running program that can be looked at."""

    def look(self) -> Look:
        """What is known now; brief, for the loop."""
