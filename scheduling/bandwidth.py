"""How fast the link is, from what crossed it."""

from collections import deque

BITS_PER_MEGABIT = 1e6


class HarmonicMean:
    """Harmonic mean of the last `window` observed throughputs; `prior_mbps` until there is one.

    The harmonic mean is the bandwidth that would have carried equal amounts in the same total
    time, so one fast burst does not hide a slow link (FESTIVE; Janus, section III-D).
    """

    def __init__(self, window: int = 5, prior_mbps: float = 10.0) -> None:
        if window < 1 or prior_mbps <= 0:
            raise ValueError("window must be at least 1 and prior_mbps above 0")
        self._seconds_per_megabit: deque[float] = deque(maxlen=window)
        self._prior_mbps = prior_mbps

    def add(self, num_bytes: int, seconds: float) -> None:
        """Take in one observation: `num_bytes` crossed the link in `seconds`; nothing is learnt from zero."""
        if num_bytes > 0 and seconds > 0:
            self._seconds_per_megabit.append(seconds / (num_bytes * 8 / BITS_PER_MEGABIT))

    @property
    def observed(self) -> bool:
        """Whether the estimate rests on at least one observation."""
        return bool(self._seconds_per_megabit)

    @property
    def mbps(self) -> float:
        """The estimate in Mbit/s."""
        if not self._seconds_per_megabit:
            return self._prior_mbps
        return len(self._seconds_per_megabit) / sum(self._seconds_per_megabit)
