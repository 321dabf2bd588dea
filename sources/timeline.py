"""Presentation times that rise strictly, whatever the container says."""

# Backwards by more than this is a new start (a joined file, a counter that wrapped), not disorder.
JUMP_S = 1.0
JUMP_FRAMES = 16


class Timeline:
    """Gives each frame, in the order of presentation, its time in seconds."""

    def __init__(self, rate: float) -> None:
        self._period = 1.0 / rate
        self._jump = max(JUMP_S, JUMP_FRAMES * self._period)
        self._last: float | None = None
        self._shift = 0.0

    def place(self, time_s: float | None) -> float:
        """The frame's time: as stated where that is later than the last one; a period later where
        nothing is stated or time starts anew; otherwise just after the last, so that no drift grows."""
        if self._last is None:
            self._last = time_s or 0.0
        else:
            self._last = self._next(self._last, time_s)
        return self._last

    def _next(self, last: float, time_s: float | None) -> float:
        if time_s is None:
            return last + self._period
        shifted = time_s + self._shift
        if shifted > last:
            return shifted
        if shifted > last - self._jump:
            return last + self._period / 1000
        self._shift = last + self._period - time_s
        return last + self._period
