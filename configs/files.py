"""What a configuration file may hold: all settings of a verb, and what is to be run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, StringConstraints, ValidationError, field_validator

from configs.settings import CloudSettings, DeviceSettings, PeerSettings, Settings
from configs.wrong import likeness, wrongs
from configs.yaml_file import read_config
from pipeline.errors import ConfigError, JanusError
from sinks.registry import parse_sink
from sinks.settings import AnySink
from sources.registry import Wanted, wanted_by
from sources.settings import SourceSettings

LogStyle = Literal["text", "json"]


def _source(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


def _sink(value: object) -> object:
    try:
        return parse_sink(value) if isinstance(value, str) else value
    except JanusError as error:
        raise ValueError(str(error)) from None


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]{0,63}$")]
ASource = Annotated[SourceSettings, BeforeValidator(_source)]
ASink = Annotated[AnySink, BeforeValidator(_sink)]


class DeviceFile(DeviceSettings):
    """A device: its settings, its sources and its sinks by name."""

    sources: dict[Name, ASource] = Field(default_factory=dict)
    sinks: dict[Name, ASink] = Field(default_factory=dict)
    strict: bool = False
    log: LogStyle = "text"

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """The sources to open; ConfigError, with its key, for one that cannot be."""
        found = []
        for name, settings in self.sources.items():
            try:
                found.append(wanted_by(name, settings))
            except ConfigError as error:
                raise ConfigError(f"sources.{name}: {error}") from None
        return tuple(found)


class ReplayFile(DeviceSettings):
    """A replay: its settings, its videos, and where the records go."""

    videos: Annotated[tuple[Path, ...], BeforeValidator(_one_or_more)] = ()
    output: Path | None = None
    pattern: str | None = None
    resume: bool = False
    overwrite: bool = False
    strict: bool = False

    @field_validator("metrics")
    @classmethod
    def _has_no_metrics(cls, value: object) -> object:
        raise ValueError("a replay serves no metrics; see device")


class CloudFile(CloudSettings):
    """A cloud."""

    log: LogStyle = "text"


class PeerFile(PeerSettings):
    """A peer."""

    log: LogStyle = "text"


KINDS: dict[str, type[Settings]] = {
    "cloud": CloudFile,
    "device": DeviceFile,
    "replay": ReplayFile,
    "peer": PeerFile,
}
F = TypeVar("F", bound=Settings)


def kind_of(values: Mapping[str, Any]) -> str:
    """The verb that a file is for, by its keys, even if some are misspelled."""

    def fits(verb: str) -> float:
        known = list(KINDS[verb].model_fields)
        return sum(likeness(key, known) for key in values)

    return max(KINDS, key=fits)


def read_file(kind: type[F], path: Path) -> tuple[F, dict[str, Any]]:
    """The settings in the file at `path`, and the values that it holds; ConfigError in one line."""
    values = read_config(path)
    return settings_of(kind, values, f"{path}: "), values


def settings_of(kind: type[F], values: Mapping[str, Any], where: str = "") -> F:
    """Settings out of values; ConfigError in one line that begins with `where`."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(f"{where}{wrongs(error, kind)}") from None


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two maps as one; where both have a key, that of `above` counts, map by map."""
    both = dict(below)
    for key, value in above.items():
        inner = both.get(key)
        both[key] = (
            merged(inner, value) if isinstance(value, Mapping) and isinstance(inner, Mapping) else value
        )
    return both
