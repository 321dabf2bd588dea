"""How much of a server's time those take who send what cannot be taken: `Pacer`."""

from math import inf

from pipeline.clock import Clock


class Pacer:
    """Spaces out what should be rare: calls of `wait` return one by one, `per_s` a second at most, whoever
    makes them. Who comes after a quiet time does not wait."""

    def __init__(self, per_s: float, clock: Clock) -> None:
        self._gap_s = 1 / per_s
        self._clock = clock
        self._free_at = -inf

    async def wait(self) -> None:
        """Return when it is the caller's turn."""
        now = self._clock.now()
        turn = max(now, self._free_at)
        self._free_at = turn + self._gap_s
        if turn > now:
            await self._clock.sleep(turn - now)
