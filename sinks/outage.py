"""How long a sink has been failing, when to try again, and when to say so."""

import random
from dataclasses import dataclass

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 30.0
SAY_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class SinkStatistics:
    """One sink in numbers since it was opened. `written`: records that arrived; `waiting`: in memory;
    `spooled`: on disk; `given_up`: lost because a bound was reached or the far end refused them.
    `failing_since` is on the monotonic clock, None while all is well; `last_error` stays."""

    name: str
    written: int = 0
    waiting: int = 0
    spooled: int = 0
    given_up: int = 0
    failing_since: float | None = None
    last_error: str | None = None

    def behind(self, far: "SinkStatistics") -> "SinkStatistics":
        """This one's with those of what it hands its records to."""
        since = [each.failing_since for each in (self, far) if each.failing_since is not None]
        return SinkStatistics(
            self.name,
            far.written,
            self.waiting + far.waiting,
            self.spooled + far.spooled,
            self.given_up + far.given_up,
            min(since, default=None),
            self.last_error if self.failing_since is not None else far.last_error or self.last_error,
        )


class Outage:
    """Waits that double from `first_s` to `longest_s`, with jitter; one warning a minute."""

    def __init__(
        self, first_s: float = FIRST_WAIT_S, longest_s: float = LONGEST_WAIT_S, seed: int | None = None
    ) -> None:
        self.since: float | None = None
        self.last_error: str | None = None
        self._first_s = first_s
        self._longest_s = longest_s
        self._step_s = first_s
        self._said_at: float | None = None
        self._rng = random.Random(seed)  # noqa: S311 - spreads retries, guards nothing

    def failed(self, now: float, error: str) -> float:
        """Take in a failure; returns after how many seconds to try again."""
        if self.since is None:
            self.since = now
        self.last_error = error
        wait_s = self._step_s * self._rng.uniform(0.5, 1.0)
        self._step_s = min(2 * self._step_s, self._longest_s)
        return wait_s

    def to_say(self, now: float) -> bool:
        """Whether a warning is due: at the first failure, then once a minute."""
        if self._said_at is not None and now - self._said_at < SAY_EVERY_S:
            return False
        self._said_at = now
        return True

    def over(self, now: float) -> float | None:
        """It works again: for how many seconds it did not; None where nobody was told of it."""
        since, self.since = self.since, None
        self._step_s = self._first_s
        told = since is not None and self._said_at is not None and self._said_at >= since
        return now - since if since is not None and told else None
