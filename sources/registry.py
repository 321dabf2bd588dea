"""Sources by what a user writes: a camera, a stream, a pattern, or a video file played as if it were live."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from pipeline.clock import Clock
from pipeline.errors import ConfigError
from pipeline.redact import redacted_address
from sources.base import FrameGeometry, Source
from sources.file import FileSource
from sources.live.make import live_source
from sources.live.states import OnChange
from sources.live.url import RTSP, SCHEMES, WEBCAM, Address, parse_address, scheme_of
from sources.paced import PacedSource
from sources.pattern import PatternSource
from sources.settings import SourceSettings

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


@dataclass(frozen=True, slots=True)
class Wanted:
    """A source that is asked for: what it is to be called, if that was said, and where it is."""

    name: str | None
    where: str = field(repr=False)
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def address(self) -> Address | None:
        """Of a camera or stream, None for others; ConfigError, without secrets, for what is no address."""
        if scheme_of(self.where) not in SCHEMES:
            return None
        return parse_address(self.where, self.user, self.password)


def wanted(spec: str) -> Wanted:
    """The source that a user spells as one word, with NAME= before it or not."""
    return Wanted(*split_name(spec))


def wanted_by(name: str, settings: SourceSettings) -> Wanted:
    """The source that settings describe; ConfigError, without secrets, where what they say of it cannot be:
    a file may come later, and is not looked for."""
    scheme = scheme_of(settings.url)
    if scheme not in RTSP and settings.transport is not None:
        raise ConfigError("transport is of rtsp:// alone")
    if (scheme not in SCHEMES or scheme == WEBCAM) and (settings.user or settings.password):
        raise ConfigError("user and password are of rtsp:// and http:// alone")
    where = settings.url
    if settings.transport is not None:
        where += f"{'&' if '?' in where else '?'}transport={settings.transport}"
    found = Wanted(name, where, _told(settings.user), _told(settings.password))
    if found.address is None:
        (parse_pattern if where.startswith(PATTERN) else _require_no_scheme)(where)
    return found


def _told(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def open_sources(
    specs: Sequence[str | Wanted],
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
        source = wanted(spec) if isinstance(spec, str) else spec
        where, address = source.where, source.address

        def name(stem: str, given: str | None = source.name) -> str:
            return _unique(given or stem, names)

        if address is not None:
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
    _require_no_scheme(spec)
    path = Path(spec)
    if not path.is_file():
        raise ConfigError(
            f"source {redacted_address(spec)!r}: no such file; give a video, a camera (rtsp://HOST/PATH), or "
            f"pattern:{PATTERNS[0]}"
        )
    return PacedSource(FileSource(path, name(path.stem), geometry, clock), clock)


def _require_no_scheme(spec: str) -> None:
    scheme = scheme_of(spec)
    if scheme is not None and "://" in spec:
        raise ConfigError(
            f"source {redacted_address(spec)!r}: unknown scheme {scheme!r}; there are {', '.join(SCHEMES)}"
        )
