"""How much of a server's time those take who send what is no clip: `Allowance` of each, `Pacer` of all."""

from math import inf

from pipeline.clock import Clock


class Allowance:
    """What one of many may take without waiting: `per_s` a second, `most` at once, `first` at first."""

    def __init__(self, per_s: float, most: float, first: float, clock: Clock) -> None:
        self._per_s = per_s
        self._most = most
        self._clock = clock
        self._left, self._seen_at = first, clock.now()

    def take(self, amount: float = 1) -> bool:
        """Take `amount`, or nothing and return False where less is left."""
        now = self._clock.now()
        self._left = min(self._most, self._left + (now - self._seen_at) * self._per_s)
        self._seen_at = now
        enough = amount <= self._left
        if enough:
            self._left -= amount
        return enough


class Pacer:
    """Spaces out what should be rare: calls of `wait` return one by one, `per_s` a second at most, whoever
    makes them. Who comes after a quiet time does not wait."""

    def __init__(self, per_s: float, clock: Clock) -> None:
        self._gap_s = 1 / per_s
        self._clock = clock
        self._free_at = -inf

    async def wait(self, turns: float = 1) -> None:
        """Return when it is the caller's turn; who comes next waits for so many `turns` more."""
        now = self._clock.now()
        turn = max(now, self._free_at)
        self._free_at = turn + turns * self._gap_s
        if turn > now:
            await self._clock.sleep(turn - now)
