"""A live test picture: motions, one clip after the other, at a frame rate."""

import itertools
import threading
from collections.abc import Callable, Iterator

from pipeline.clock import Clock
from pipeline.errors import ConfigError
from pipeline.items import Frame, Pixels, SourceBreak
from sources.base import FALLBACK_RATE
from sources.motions import motion_sequence, require_drawable

MAX_RATE = 1000.0


class PatternSource:
    """The motions of `seed`: `clip_frames` labelled frames of `size` x `size` for each clip.

    With `fps` frames come in real time; a reader that fell behind gets the missed ones at once.
    Without, they come as fast as they are read, with times as if there were 25 a second. `clips`
    None never ends. `wait` sleeps for seconds; the default wakes early when the source is closed.
    ConfigError for settings that cannot be played.
    """

    def __init__(
        self,
        name: str,
        *,
        seed: int,
        size: int,
        fps: float | None,
        clips: int | None,
        clock: Clock,
        clip_frames: int = 16,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        _require_playable(name, seed, fps, clips)
        require_drawable(clip_frames, size)
        self.name = name
        self.rate: float | None = fps
        self._seed, self._size, self._clip_frames, self._clips = seed, size, clip_frames, clips
        self._frame_s = 1 / (fps or FALLBACK_RATE)
        self._live = fps is not None
        self._clock = clock
        self._closing = threading.Event()
        self._wait = wait or self._closing.wait

    def frames(self) -> Iterator[Frame | SourceBreak]:
        """Frames up to the last one of the last clip; a break where it is closed before."""
        started_at = self._clock.now()
        for index, (label, pixels) in enumerate(self._pictures()):
            pts_s = index * self._frame_s
            self._wait_until(started_at + pts_s)
            if self._closing.is_set():
                yield SourceBreak(self.name, "closed", closed=True)
                return
            yield Frame(self.name, index, pts_s, self._clock.now(), pixels, label)

    def close(self) -> None:
        """End `frames()` at its next frame; may be called from any thread."""
        self._closing.set()

    def _pictures(self) -> Iterator[tuple[str, Pixels]]:
        for clip in itertools.count() if self._clips is None else range(self._clips):
            label, pictures = motion_sequence(self._seed, clip, self._clip_frames, self._size)
            for picture in pictures:
                yield label, picture

    def _wait_until(self, due: float) -> None:
        ahead_s = due - self._clock.now()
        if self._live and ahead_s > 0:
            self._wait(ahead_s)


def _require_playable(name: str, seed: int, fps: float | None, clips: int | None) -> None:
    if seed < 0:
        raise ConfigError(f"{name}: seed {seed} must be 0 or more")
    if fps is not None and not 0 < fps <= MAX_RATE:
        raise ConfigError(f"{name}: {fps} frames a second; must be above 0 and at most {MAX_RATE:g}")
    if clips is not None and clips < 1:
        raise ConfigError(f"{name}: {clips} clips; must be 1 or more, or none at all for an endless pattern")
