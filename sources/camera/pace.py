"""When each frame of the camera is due."""

from sources.camera.rtp import CLOCK_HZ

# A camera that encodes too slowly, or slept, goes on from now; one that was held up shortly catches up.
LATE_S = 0.5


class Pace:
    """Frames a period apart from `start_s` on; what comes more than LATE_S too late moves all later ones."""

    def __init__(self, rate: float, start_s: float, first_timestamp: int) -> None:
        self._period_s = 1 / rate
        self._start_s = start_s
        self._first_timestamp = first_timestamp
        self._moved_s = 0.0
        self._index = 0

    def next(self, now_s: float) -> float:
        """The time at which the next frame is due; it has passed where the camera is late."""
        due_s = self._start_s + self._moved_s + self._index * self._period_s
        late_s = now_s - due_s
        if late_s > LATE_S:
            self._moved_s += late_s
            due_s = now_s
        self._index += 1
        return due_s

    def timestamp(self, due_s: float) -> int:
        """That time in ticks of 90 kHz, modulo 2**32."""
        return (self._first_timestamp + round((due_s - self._start_s) * CLOCK_HZ)) & 0xFFFFFFFF
