"""Sources by what a user writes: a pattern, or a video file played as if it were live."""

from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.clock import Clock
from pipeline.errors import ConfigError
from sources.base import FrameGeometry, Source
from sources.file import FileSource
from sources.paced import PacedSource
from sources.pattern import PatternSource

PATTERN = "pattern:"
PATTERNS = ("motions",)


class PatternOptions(BaseModel):
    """What may follow the question mark of a pattern."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fps: float = Field(default=25.0, ge=0.001, le=1000)
    seed: int = Field(default=0, ge=0)
    clips: int | None = Field(default=None, ge=1)


def open_sources(
    specs: Sequence[str], geometry: FrameGeometry, clip_frames: int, clock: Clock
) -> list[Source]:
    """A live source for each spec, with names that are unique; opens nothing yet.

    A spec is pattern:motions[?fps=F&seed=S&clips=N], or the path of a video. ConfigError otherwise.
    """
    names: set[str] = set()
    sources = []
    for spec in specs:
        make = _pattern if spec.startswith(PATTERN) else _file
        sources.append(make(spec, lambda stem: _unique(stem, names), geometry, clip_frames, clock))
    return sources


def _unique(stem: str, names: set[str]) -> str:
    name, number = stem, 1
    while name in names:
        number += 1
        name = f"{stem}-{number}"
    names.add(name)
    return name


def parse_pattern(spec: str) -> PatternOptions:
    """The options of a pattern's spec; ConfigError for another pattern, or for options it lacks."""
    kind, _, query = spec.removeprefix(PATTERN).partition("?")
    if kind not in PATTERNS:
        raise ConfigError(f"source {spec!r}: there is no pattern {kind!r}, only {', '.join(PATTERNS)}")
    try:
        return PatternOptions.model_validate(dict(parse_qsl(query, strict_parsing=bool(query))))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ConfigError(f"source {spec!r}: {wrong}") from None
    except ValueError:
        raise ConfigError(f"source {spec!r}: write options as pattern:{kind}?fps=8&seed=0&clips=20") from None


def _pattern(
    spec: str, name: Callable[[str], str], geometry: FrameGeometry, clip_frames: int, clock: Clock
) -> Source:
    options = parse_pattern(spec)
    return PatternSource(
        name("pattern"),
        seed=options.seed,
        size=geometry.input_size,
        fps=options.fps,
        clips=options.clips,
        clip_frames=clip_frames,
        clock=clock,
    )


def _file(
    spec: str, name: Callable[[str], str], geometry: FrameGeometry, clip_frames: int, clock: Clock
) -> Source:
    path = Path(spec)
    if not path.is_file():
        raise ConfigError(f"source {spec!r}: no such file; give a video, or pattern:{PATTERNS[0]}")
    return PacedSource(FileSource(path, name(path.stem), geometry, clock), clock)
