"""From frames to clips: which frames a clip takes, by presentation time."""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError
from pipeline.items import Clip, Frame
from sources.base import FALLBACK_RATE

# A pause this long (in seconds, and in frames of a slow source) ends a recording: a new one begins.
GAP_S = 10.0
GAP_FRAMES = 16
# Halfway between two frames is decided at once, whichever way the last digit was rounded.
TICK_S = 1e-6


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """Clips of `frames` frames, every `stride`-th of `rate` (None: the source's own) a second;
    a clip begins every `hop` frames (None: where the last one's window ended)."""

    frames: int
    stride: int = 1
    hop: int | None = None
    rate: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("frames", self.frames), ("stride", self.stride), ("hop", self.step)):
            if value < 1:
                raise ConfigError(f"clip {name} {value}: must be at least 1")
        if self.rate is not None and not 0 < self.rate <= 1000:
            raise ConfigError(f"clip rate {self.rate}: must be above 0 and at most 1000 frames a second")

    @property
    def step(self) -> int:
        """Slots from the beginning of one clip to that of the next."""
        return self.frames * self.stride if self.hop is None else self.hop

    @property
    def span(self) -> int:
        """Slots from a clip's first frame to its last, both included."""
        return (self.frames - 1) * self.stride + 1

    def count(self, slots: int) -> int:
        """How many clips, a padded last one included, a recording of `slots` slots makes."""
        whole = max(0, (slots - self.span) // self.step + 1)
        return whole + (self.left_over(whole * self.step, slots) > 0)

    def left_over(self, start: int, slots: int) -> int:
        """How many frames a clip from slot `start` finds in a recording of `slots` slots, if that
        clip goes beyond the one before it; otherwise 0."""
        found = min(self.frames, -(-(slots - start) // self.stride))
        covered = start - self.step + self.span if start else 0
        return found if found > 0 and start + (found - 1) * self.stride >= covered else 0


class ClipAssembler:
    """Takes the frames of one source in order; gives its clips as soon as their last frame is known.

    The source's nominal rate, or the settings', lays a grid from the first frame on: slot v stands
    v / rate later. A slot takes the frame nearest in time, and does not wait for a later frame than
    a source of constant rate would need. Clip k takes slots k * hop + i * stride. Memory: the
    frames that a clip may still take. `sla_ms` sets each clip's deadline; `first_seq` numbers the first.
    """

    def __init__(
        self,
        source: str,
        settings: ClipSettings,
        rate: float | None = None,
        sla_ms: float | None = None,
        first_seq: int = 0,
    ) -> None:
        self._source = source
        self._settings = settings
        self._rate = settings.rate or rate or FALLBACK_RATE
        frame_s = 1.0 / (rate or self._rate)
        self._reach_s = frame_s / 2 + TICK_S
        self._gap_s = max(GAP_S, GAP_FRAMES * frame_s)
        self._sla_s = math.inf if sla_ms is None else sla_ms / 1000
        self._seq = first_seq
        self._last: Frame | None = None
        self._begin(0.0)

    def add(self, frame: Frame) -> list[Clip]:
        """The clips that this frame completes; a frame that is not later than the last is passed over."""
        if self._last is None:
            self._begin(frame.pts_s)
        elif frame.pts_s <= self._last.pts_s:
            return []
        elif frame.pts_s - self._last.pts_s > self._gap_s:
            return self.finish() + self.add(frame)
        clips = self._settle(self._last or frame, frame)
        self._last = frame
        return clips

    def cut(self, at: float) -> tuple[list[Clip], int]:
        """End the clip that has begun, since what comes next shows another scene; seen at time `at`, from
        which on its promise counts. Returns it, its last frame repeated, and how many frames no clip shows.

        From half of its frames on it is a clip: less would claim a scene that stood still.
        """
        found = self._found()
        clips = [self._emit(self._start, found, at)] if 2 * found >= self._settings.frames else []
        return clips, self.discard()

    def discard(self) -> int:
        """Forget the clip that has begun; how many frames no clip has shown."""
        shown = self._start - self._settings.step + self._settings.span if self._start else 0
        lost = len({id(frame) for slot, frame in self._kept.items() if slot >= shown})
        self._last = None
        self._kept.clear()
        return lost

    def finish(self) -> list[Clip]:
        """The last clip, its last frame repeated, if frames are left that no clip has shown."""
        found = self._found()
        clips = [self._emit(self._start, found)] if found else []
        self.discard()
        return clips

    def _begin(self, origin_s: float) -> None:
        self._origin_s = origin_s
        self._slot = 0  # the next slot to be settled
        self._start = 0  # the first slot of the next clip
        self._kept: dict[int, Frame] = {}

    def _settle(self, before: Frame, frame: Frame) -> list[Clip]:
        clips = []
        while (time_s := self._time_s(self._slot)) <= frame.pts_s + self._reach_s:
            nearer = before if time_s - before.pts_s <= frame.pts_s - time_s else frame
            if self._wanted(self._slot):
                self._kept[self._slot] = nearer
            self._slot += 1
            if self._slot == self._start + self._settings.span:
                clips.append(self._emit(self._start, self._settings.frames))
        return clips

    def _wanted(self, slot: int) -> bool:
        starts = range(self._start, slot + 1, self._settings.step)
        return any((slot - start) % self._settings.stride == 0 for start in starts)

    def _found(self) -> int:
        """How many frames the clip that has begun would have, if it ended now."""
        return self._settings.left_over(self._start, self._slot) if self._last is not None else 0

    def _emit(self, start: int, found: int, at: float | None = None) -> Clip:
        settings = self._settings
        frames = [self._kept[start + index * settings.stride] for index in range(found)]
        clip = self._clip(start, frames, at)
        self._seq += 1
        self._start = start + settings.step
        self._kept = {slot: frame for slot, frame in self._kept.items() if slot >= self._start}
        return clip

    def _clip(self, start: int, frames: list[Frame], at: float | None) -> Clip:
        settings, padded = self._settings, self._settings.frames - len(frames)
        pixels = [frame.pixels for frame in frames] + [frames[-1].pixels] * padded
        labels = {frame.label for frame in frames}
        start_s, ready_at = self._time_s(start), frames[-1].captured_at if at is None else at
        return Clip(
            clip_id=f"{self._source}/{self._seq:06d}",
            source=self._source,
            seq=self._seq,
            start_s=start_s,
            end_s=start_s + (settings.frames * settings.stride - 1) / self._rate,
            ready_at=ready_at,
            deadline=ready_at + self._sla_s,
            frames=np.stack(pixels),
            padded=padded,
            label=labels.pop() if len(labels) == 1 else None,
        )

    def _time_s(self, slot: int) -> float:
        return self._origin_s + slot / self._rate
