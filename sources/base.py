"""What every source of frames promises, and the shape in which frames leave it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from pipeline.errors import ConfigError
from pipeline.items import Frame, SourceBreak

FALLBACK_RATE = 25.0


@dataclass(frozen=True, slots=True)
class FrameGeometry:
    """Frames leave a source as uint8 [input_size, input_size, 3]: the centre square, `crop_pct` of
    the shorter side wide, resized."""

    input_size: int
    crop_pct: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.input_size <= 4096:
            raise ConfigError(f"input size {self.input_size}: must be 1 to 4096 pixels")
        if not 0 < self.crop_pct <= 1:
            raise ConfigError(f"crop_pct {self.crop_pct}: must be above 0 and at most 1")


class Source(Protocol):
    """Frames of one video, camera or generator.

    `rate` is the nominal frames a second; None until the first frame came, or where nobody knows.
    `frames()` blocks and runs in the source's own reading thread; `pts_s` rises strictly; it ends
    normally at the end and raises SourceError when it cannot go on. `close()` may be called from
    any thread: it asks the reading thread to end soon, which then frees what it holds. Only live
    sources have breaks, each between two frames that no clip may hold both of.
    """

    @property
    def name(self) -> str: ...

    @property
    def rate(self) -> float | None: ...

    def frames(self) -> Iterator[Frame | SourceBreak]: ...

    def close(self) -> None: ...


class Recording(Source, Protocol):
    """A source without breaks."""

    def frames(self) -> Iterator[Frame]: ...
