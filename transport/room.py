"""How many sessions a cloud has room for, and who makes way when it is full."""

from typing import Protocol

from pipeline.clock import Clock

SILENT_S = 60.0


class Seated(Protocol):
    """A session, as far as its seat is concerned."""

    heard_at: float

    @property
    def in_flight(self) -> int: ...

    def make_way(self) -> None:
        """End soon: another device takes the seat."""


class Room:
    """Seats for `seats` sessions. When all are taken, the one that has been silent longest makes way for a
    new one, if it has been so for `silent_s` and no clip of it is under way; a device that is there probes
    its link every second."""

    def __init__(self, seats: int, clock: Clock, silent_s: float = SILENT_S) -> None:
        self._seats = seats
        self._clock = clock
        self._silent_s = silent_s
        self._seated: set[Seated] = set()

    def __len__(self) -> int:
        return len(self._seated)

    def take(self, session: Seated) -> bool:
        """Give `session` a seat; False when there is none."""
        if len(self._seated) >= self._seats:
            least = self._clock.now() - self._silent_s
            silent = [each for each in self._seated if each.heard_at <= least and each.in_flight == 0]
            if not silent:
                return False
            idle = min(silent, key=lambda each: each.heard_at)
            self._seated.discard(idle)
            idle.make_way()
        self._seated.add(session)
        return True

    def leave(self, session: Seated) -> None:
        """The seat is free again; once more is fine."""
        self._seated.discard(session)
