"""From the pictures of a camera to frames of one source, over all its connections."""

from dataclasses import dataclass

from pipeline.items import Frame
from sources.base import FALLBACK_RATE, FrameGeometry
from sources.geometry import to_square
from sources.live.rate import MOST, RateLimit, RateMeter
from sources.live.reader import LivePicture
from sources.live.states import SourceStates
from sources.live.timeline import LiveTimeline
from sources.live.watchdog import FrozenPicture, OldPictures

FROZEN_S = 30.0
# Older than that when they arrive, for so long, are pictures of a slow clock, or of a slow camera.
OLD_S, OLD_FOR_S = 0.5, 5.0
# More than this many times its own rate, for more than a moment, is a camera that runs away.
TOO_FAST = 2.0
JUMPED = "the camera's clock jumped"


@dataclass(frozen=True, slots=True)
class SceneFrame:
    """A frame, and the number of the scene it belongs to: no clip may mix two."""

    frame: Frame
    scene: int


class Intake:
    """Places frames in time, measures their rate, holds the camera to it, and tells scenes apart.

    `rate` is None until it is known; the frames before that come out together with the one that told.
    """

    def __init__(
        self, name: str, geometry: FrameGeometry, states: SourceStates, frozen_s: float = FROZEN_S
    ) -> None:
        self.rate: float | None = None
        self.scene = 0
        self.reason = ""
        self._name = name
        self._geometry = geometry
        self._states = states
        self._timeline = LiveTimeline()
        self._meter = RateMeter()
        self._limit = RateLimit(MOST)
        self._frozen = FrozenPicture(frozen_s)
        self._frozen_s = frozen_s
        self._old = OldPictures(OLD_S, OLD_FOR_S)
        self._index = 0
        self._doubted = False
        self._held: list[SceneFrame] = []

    def take(self, picture: LivePicture) -> list[SceneFrame]:
        """The frames that this picture brings: none while the rate is unknown or when it came too fast."""
        now = picture.arrived_at
        self._states.frame(now)
        pts_s, jumped = self._timeline.place(picture.pts_s, now)
        if jumped:
            self._states.count("jumps")
            self._states.warn(now, JUMPED)
            self.broke_off(JUMPED)
        if picture.doubtful and not self._doubted:
            self._doubted = True
            self._states.warn(now, "the camera's clock is not ours, so frames count from their arrival")
        age_s = now - picture.captured_at
        if self._old.add(age_s, now):
            self._states.warn(
                now,
                f"its pictures are {age_s:.1f} s old when they arrive, by its clock; latency counts from it",
            )
        if not self._admit(now):
            return []
        pixels = to_square(picture.picture, self._geometry)
        if self._frozen.add(pixels, now):
            self._states.warn(now, f"the picture has not changed for {self._frozen_s:g} s")
        frame = Frame(self._name, self._index, pts_s, picture.captured_at, pixels)
        self._index += 1
        return self._release(SceneFrame(frame, self.scene))

    def connected(self) -> None:
        """The next picture is the first of a connection."""
        self._timeline.connected()
        self._doubted = False
        self._old = OldPictures(OLD_S, OLD_FOR_S)

    def broke_off(self, reason: str) -> None:
        """What comes next is another scene."""
        self.scene += 1
        self.reason = reason

    def finish(self) -> list[SceneFrame]:
        """What still waited for the rate; nothing more will come to tell it."""
        self.rate = self.rate or FALLBACK_RATE
        held, self._held = self._held, []
        return held

    def _admit(self, now: float) -> bool:
        before = self._limit.exceeded
        if self._limit.admit(now):
            return True
        self._states.count("dropped")
        if not before:
            self._states.warn(
                now, f"frames come over {TOO_FAST:g} times as fast as at first; some are left out"
            )
        return False

    def _release(self, item: SceneFrame) -> list[SceneFrame]:
        if self.rate is not None:
            return [item]
        self._held.append(item)
        rate = self._meter.add(item.frame.pts_s)
        if rate is None:
            return []
        self.rate, self._limit = rate, RateLimit(rate * TOO_FAST)
        return self.finish()
