"""How long to wait before the next attempt to connect, and when to give up."""

import random

FIRST_S = 0.1
LONGEST_S = 2.0


class Backoff:
    """Waits that double up to two seconds, with jitter, for at most `patience_s` an outage."""

    def __init__(self, patience_s: float, rng: random.Random) -> None:
        self.patience_s = patience_s
        self._rng = rng
        self._began: float | None = None
        self._step_s = FIRST_S

    def next_wait(self, now: float) -> float | None:
        """Seconds to wait from `now`, the first call beginning the outage; None: patience has run out."""
        if self._began is None:
            self._began = now
        wait_s = self._step_s * self._rng.uniform(0.5, 1.0)
        if now + wait_s > self._began + self.patience_s:
            return None
        self._step_s = min(2 * self._step_s, LONGEST_S)
        return wait_s

    def over(self) -> None:
        """The outage is over: the link did its work again."""
        self._began = None
        self._step_s = FIRST_S
