"""Sources by what a user writes: a camera, a stream, a pattern, or a video file played as if it were live."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.clock import Clock
from pipeline.errors import ConfigError
from pipeline.redact import redacted_address
from sources.base import FrameGeometry, Source
from sources.file import FileSource
from sources.live.make import live_source
from sources.live.states import OnChange
from sources.live.url import SCHEMES, parse_address, scheme_of
from sources.paced import PacedSource
from sources.pattern import PatternSource

PATTERN = "pattern:"
PATTERNS = ("motions",)
_NAMED = re.compile(r"([A-Za-z0-9][\w.-]{0,63})=(.+)", re.DOTALL)

Name = Callable[[str], str]


class PatternOptions(BaseModel):
    """What may follow the question mark of a pattern."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fps: float = Field(default=25.0, ge=0.001, le=1000)
    seed: int = Field(default=0, ge=0)
    clips: int | None = Field(default=None, ge=1)


def open_sources(
    specs: Sequence[str],
    geometry: FrameGeometry,
    clip_frames: int,
    clock: Clock,
    *,
    on_change: OnChange | None = None,
) -> list[Source]:
    """A live source for each spec, with names that are unique; opens nothing yet.

    A spec is an address that begins with rtsp://, rtsps://, http://, https:// or webcam:, or
    pattern:motions[?fps=F&seed=S&clips=N], or the path of a video; NAME= before it gives it a name.
    ConfigError otherwise. `on_change` hears how cameras fare; without one it is logged.
    """
    names: set[str] = set()
    sources: list[Source] = []
    for spec in specs:
        given, where = split_name(spec)

        def name(stem: str, given: str | None = given) -> str:
            return _unique(given or stem, names)

        scheme = scheme_of(where)
        if scheme in SCHEMES:
            address = parse_address(where)
            sources.append(live_source(address, name(address.stem), geometry, clock, on_change=on_change))
        else:
            make = _pattern if where.startswith(PATTERN) else _file
            sources.append(make(where, name, geometry, clip_frames, clock))
    return sources


def split_name(spec: str) -> tuple[str | None, str]:
    """The name that a user gave, if one, and what follows it; a path that exists is a path."""
    found = _NAMED.fullmatch(spec)
    return (found[1], found[2]) if found and not Path(spec).is_file() else (None, spec)


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


def _pattern(spec: str, name: Name, geometry: FrameGeometry, clip_frames: int, clock: Clock) -> Source:
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


def _file(spec: str, name: Name, geometry: FrameGeometry, clip_frames: int, clock: Clock) -> Source:
    scheme = scheme_of(spec)
    if scheme is not None and "://" in spec:
        raise ConfigError(
            f"source {redacted_address(spec)!r}: unknown scheme {scheme!r}; there are {', '.join(SCHEMES)}"
        )
    path = Path(spec)
    if not path.is_file():
        raise ConfigError(
            f"source {redacted_address(spec)!r}: no such file; give a video, a camera (rtsp://HOST/PATH), or "
            f"pattern:{PATTERNS[0]}"
        )
    return PacedSource(FileSource(path, name(path.stem), geometry, clock), clock)
