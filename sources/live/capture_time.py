"""When a frame was captured, on the device's clock."""

import time
from collections.abc import Callable

from pipeline.clock import Clock

# Older than this, or from the future: the camera's clock is wrong, not the network slow.
OLDEST_S = 10.0


class CaptureTime:
    """Maps a camera's capture times onto the device's monotonic clock, for one connection.

    A camera tells, in RTCP sender reports, which time of day belongs to a presentation time; that is as
    good as the agreement of both clocks of the day. `wall` is the device's, in Unix seconds.
    """

    def __init__(self, clock: Clock, wall: Callable[[], float] = time.time) -> None:
        self.doubtful = False
        self._clock = clock
        self._wall = wall
        self._offset_s: float | None = None

    def note(self, pts_s: float, unix_s: float) -> None:
        """The camera says that what it presents at `pts_s` was captured at `unix_s`."""
        self._offset_s = unix_s - pts_s

    def at(self, pts_s: float | None, arrived_at: float) -> float:
        """When the frame was captured; when it arrived, if the camera told nothing, or nothing that can
        be (`doubtful`)."""
        if pts_s is None or self._offset_s is None:
            return arrived_at
        age_s = self._wall() - (pts_s + self._offset_s)
        self.doubtful = not 0 <= age_s <= OLDEST_S
        return arrived_at if self.doubtful else min(arrived_at, self._clock.now() - age_s)
