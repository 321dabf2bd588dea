"""The frame rate that a camera has, not the one that it states, and a limit for one that runs away."""

from statistics import median

LEAST, MOST = 0.05, 120.0
FRAMES = 8
PATIENCE_S = 2.0
BURST_S = 4.0


class RateMeter:
    """The rate of the first frames: streams state none, or twice their own, or that of their clock."""

    def __init__(self) -> None:
        self._times: list[float] = []

    def add(self, pts_s: float) -> float | None:
        """Frames a second by the median step, once eight steps, or fewer within two seconds, are known."""
        self._times.append(pts_s)
        steps = [after - before for before, after in zip(self._times, self._times[1:], strict=False)]
        if len(steps) < FRAMES and (not steps or pts_s - self._times[0] < PATIENCE_S):
            return None
        return min(max(round(1 / max(median(steps), 1e-6), 2), LEAST), MOST)


class RateLimit:
    """Lets through `rate` frames a second, and at once no more than those of a network's hold-up."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate * BURST_S)
        self._left, self._at = self._most, -1e9
        self.exceeded = False

    def admit(self, now: float) -> bool:
        """Whether one more frame may pass at `now`; `exceeded` from the first that may not until the
        frames have been slow enough for a second."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            self.exceeded = True
            return False
        self._left -= 1
        if self._left > min(self._rate, self._most / 2):
            self.exceeded = False
        return True
