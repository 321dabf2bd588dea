"""How many clips may be under way at once, when more come than can be served."""

import math

MS = 1000.0
NEARLY = 0.9
SHRINK = 0.85
GROWTH = 0.02
MEMORY_S = 10.0


class Admission:
    """A bound on the clips between their plan and their record, steered by how long they take.

    There is none as long as nothing has to be dropped. Where clips are dropped, one that takes nearly the
    whole promise says that too many are under way, and any other lets the bound grow, the more the sooner it
    was done. What is not let in stays where newer clips replace it. All times `now` are seconds of one
    monotonic clock.
    """

    def __init__(self, sla_ms: float | None) -> None:
        self._sla_ms = math.inf if sla_ms is None else sla_ms
        self._under_way: set[str] = set()
        self._limit = math.inf
        self._dropped_at = -math.inf
        self._shrunk_at = -math.inf

    @property
    def limit(self) -> float:
        """The most clips under way."""
        return self._limit

    @property
    def has_room(self) -> bool:
        """Whether one more clip may be let in."""
        return len(self._under_way) + 1 <= self._limit

    def entered(self, clip_id: str) -> None:
        """A clip has been let in."""
        self._under_way.add(clip_id)

    def dropped(self, now: float) -> None:
        """A clip had to make room for a newer one."""
        self._dropped_at = now

    def left(self, clip_id: str, total_ms: float, now: float) -> None:
        """A clip has its record, `total_ms` after it was ready; nothing is learnt from one never let in."""
        if clip_id not in self._under_way:
            return
        slack = 1.0 - total_ms / (NEARLY * self._sla_ms)
        if now - self._dropped_at > MEMORY_S:
            self._limit = math.inf
        elif slack >= 0:
            self._limit += GROWTH * slack**2
        elif (now - self._shrunk_at) * MS > self._sla_ms:  # those let in before say nothing of the new bound
            self._limit = max(SHRINK * min(self._limit, len(self._under_way)), 1.0)
            self._shrunk_at = now
        self._under_way.remove(clip_id)
