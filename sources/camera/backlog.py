"""Frames that wait for one client."""

from collections import deque

from sources.camera.rtp import LiveFrame

MOST_FRAMES = 50
MOST_BYTES = 4 << 20


class Backlog:
    """At most MOST_FRAMES frames and MOST_BYTES (one larger frame passes alone), beginning with a key frame.

    When a frame more does not fit, all that wait are dropped, and so is everything up to the next key
    frame: a slow client sees a gap, never a damaged picture, and holds nobody up.
    """

    def __init__(self) -> None:
        self._frames: deque[LiveFrame] = deque()
        self._bytes = 0
        self._broken = True

    def __len__(self) -> int:
        return len(self._frames)

    def offer(self, frame: LiveFrame) -> bool:
        """Take the frame, or drop it; says which."""
        if self._frames and (len(self) >= MOST_FRAMES or self._bytes + frame.num_bytes > MOST_BYTES):
            self.lose()
        if self._broken and not frame.key:
            return False
        self._broken = False
        self._frames.append(frame)
        self._bytes += frame.num_bytes
        return True

    def take(self) -> LiveFrame | None:
        """The frame that waited longest; None where none waits."""
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._bytes -= frame.num_bytes
        return frame

    def lose(self) -> None:
        """Drop all that wait and everything up to the next key frame."""
        self._frames.clear()
        self._bytes = 0
        self._broken = True
