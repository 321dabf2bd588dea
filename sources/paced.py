"""A recording played as if it were live."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

from pipeline.clock import Clock
from pipeline.items import Frame, SourceBreak
from sources.base import Recording


class PacedSource:
    """Gives each frame of `source` when its presentation time has come, the first one at once.

    `wait` sleeps for seconds; the default wakes early when the source is closed.
    """

    def __init__(
        self, source: Recording, clock: Clock, wait: Callable[[float], object] | None = None
    ) -> None:
        self.name = source.name
        self._source = source
        self._clock = clock
        self._closing = threading.Event()
        self._wait = wait or self._closing.wait

    @property
    def rate(self) -> float | None:
        return self._source.rate

    def frames(self) -> Iterator[Frame | SourceBreak]:
        """The frames of the recording, captured when they are given; a break where it is closed early."""
        offset_s: float | None = None
        with closing(self._source.frames()) as frames:  # type: ignore[type-var]
            for frame in frames:
                if offset_s is None:
                    offset_s = self._clock.now() - frame.pts_s
                ahead_s = frame.pts_s + offset_s - self._clock.now()
                if ahead_s > 0:
                    self._wait(ahead_s)
                if self._closing.is_set():
                    yield SourceBreak(self.name, "closed", closed=True)
                    return
                yield replace(frame, captured_at=self._clock.now())

    def close(self) -> None:
        """End `frames()` soon; may be called from any thread."""
        self._closing.set()
        self._source.close()
