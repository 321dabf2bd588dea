"""Which frames of a video, and which squares of them, a model is shown."""

import re
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError
from sources.geometry import CENTRE

Positions = NDArray[np.int64]

ALONG = {1: (CENTRE,), 3: (0.0, CENTRE, 1.0)}
MAX_CLIPS = 100
MAX_STRIDE = 1000


@dataclass(frozen=True, slots=True)
class Protocol:
    """`clips` uniform in time by `crops` along the longer side (1: the centre; 3: both ends too), the
    frames of a clip `stride` frames of the video apart: the field's "10x1" and "5x3"."""

    clips: int = 1
    crops: int = 1
    stride: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.clips <= MAX_CLIPS:
            raise ConfigError(f"protocol {self}: clips must be 1 to {MAX_CLIPS}")
        if self.crops not in ALONG:
            raise ConfigError(f"protocol {self}: crops must be 1 or 3")
        if not 1 <= self.stride <= MAX_STRIDE:
            raise ConfigError(
                f"protocol {self}: the stride of {self.stride} must be 1 to {MAX_STRIDE} frames"
            )

    def __str__(self) -> str:
        return f"{self.clips}x{self.crops}"

    @classmethod
    def parse(cls, text: str, stride: int = 4) -> Self:
        """The protocol written as clips x crops, "10x1"; ConfigError for anything else."""
        found = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", text.strip().lower())
        if found is None:
            raise ConfigError(f"protocol {text!r}: write clips x crops, such as 10x1 or 5x3")
        return cls(int(found[1]), int(found[2]), stride)

    @property
    def views(self) -> int:
        """V: clips times crops, the crops of a clip side by side."""
        return self.clips * self.crops

    @property
    def along(self) -> tuple[float, ...]:
        """Where each crop lies along the longer side, from 0 to 1."""
        return ALONG[self.crops]

    def positions(self, num_frames: int, clip_frames: int) -> Positions:
        """Frames of each clip, int64 [clips, clip_frames], in a video of `num_frames` (1 or more).

        The first clip starts at frame 0 and the last of several ends at the last frame, the others
        spread evenly between; a video shorter than a clip repeats its last frame.
        """
        span = (clip_frames - 1) * self.stride + 1
        starts = np.rint(np.linspace(0, max(0, num_frames - span), self.clips)).astype(np.int64)
        steps = np.arange(clip_frames, dtype=np.int64) * self.stride
        return np.asarray(np.minimum(starts[:, None] + steps, num_frames - 1), dtype=np.int64)
