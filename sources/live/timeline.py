"""One presentation time over all connections of a source, whatever its cameras' clocks do."""

# A clock this far ahead of arrival, or this far back, has jumped. Behind arrival it may fall further: a
# network may hold frames up, but no longer than a connection waits for them.
JUMP_S = 2.0
LAG_S = 10.0
JUST_AFTER_S = 1e-4


class LiveTimeline:
    """Seconds since the first frame of the source: within a connection by the camera's clock, between
    connections by ours. What it gives rises strictly."""

    def __init__(self) -> None:
        self._first_at: float | None = None
        self._last_s = -1.0
        self._shift: float | None = None

    def connected(self) -> None:
        """The next frame is the first of a connection: its clock has another beginning."""
        self._shift = None

    def place(self, pts_s: float | None, arrived_at: float) -> tuple[float, bool]:
        """The frame's time, and whether the camera's clock jumped: far from arrival, or back.

        A frame without a time of its own has that of its arrival.
        """
        if self._first_at is None:
            self._first_at = arrived_at
        elapsed_s = arrived_at - self._first_at
        if pts_s is None:
            return self._after_last(elapsed_s), False
        if self._shift is None:
            self._shift = max(elapsed_s, self._last_s + JUST_AFTER_S) - pts_s
        time_s = pts_s + self._shift
        near = elapsed_s - LAG_S <= time_s <= elapsed_s + JUMP_S
        jumped = not near or time_s < self._last_s - JUMP_S
        if jumped:
            time_s = max(elapsed_s, self._last_s + JUST_AFTER_S)
            self._shift = time_s - pts_s
        return self._after_last(time_s), jumped

    def _after_last(self, time_s: float) -> float:
        self._last_s = max(time_s, self._last_s + JUST_AFTER_S, 0.0)
        return self._last_s
