"""Streams that are fetched in pieces, faster than they are to be seen."""

# Behind or ahead by more than this, the stream's time begins anew instead of running after itself.
ADRIFT_S = 2.0


class Pacer:
    """Says how long a frame has to wait, so that frames come as far apart as they were taken."""

    def __init__(self) -> None:
        self._last_s = 0.0
        self._begins_at: float | None = None

    def wait_s(self, pts_s: float | None, now: float) -> float:
        """Seconds from `now` until the frame is due; none for one without a time."""
        if pts_s is None:
            return 0.0
        jumped = not 0 <= pts_s - self._last_s <= ADRIFT_S
        self._last_s = pts_s
        if self._begins_at is None or jumped or now - (self._begins_at + pts_s) > ADRIFT_S:
            self._begins_at = now - pts_s
        return max(0.0, self._begins_at + pts_s - now)
