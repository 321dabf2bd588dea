"""What files of parts and fusions say of themselves: `PartInfo`, `FusionInfo`, and their metadata."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from devit.architecture import Architecture
from devit.fusion import FusionSpec
from models.weight_files import first_line
from pipeline.errors import ConfigError, ModelError

PART, FUSION = "devit part", "devit fusion"
VERSIONS = {PART: (1,), FUSION: (1, 2)}
DIGEST_CHARS = 64


@dataclass(frozen=True, slots=True)
class PartInfo:
    """Where a part came from: its classes of the whole task, and the digest of the teacher it learnt from.

    `classes` stand in the order of the head's rows. `data` names the data set; `accuracy` is the share
    right on its test set, of these classes alone. ConfigError for values that contradict each other.
    """

    architecture: Architecture
    classes: tuple[int, ...]
    teacher: str
    data: str
    accuracy: float
    seed: int

    def __post_init__(self) -> None:
        _check_origin(self)
        if not all(isinstance(one, int) and one >= 0 for one in self.classes):
            raise ConfigError("classes must be numbers from 0 on")
        rows = self.architecture.num_classes
        if not len(self.classes) == len(set(self.classes)) == rows:
            raise ConfigError(
                f"a head of {rows} rows needs as many different classes, not {len(set(self.classes))}"
            )

    @property
    def version(self) -> int:
        """Of the file."""
        return 1

    @property
    def covered(self) -> dict[str, Any]:
        """What the digest is over, beside the weights."""
        return asdict(self.architecture)


@dataclass(frozen=True, slots=True)
class FusionInfo:
    """Where a fusion came from: the digests of the parts it was trained with, in order.

    `labels` name the classes, or are empty; the rest is as for a part, over all classes. In files of
    `version` 1 the digest covers neither parts nor labels.
    """

    spec: FusionSpec
    parts: tuple[str, ...]
    labels: tuple[str, ...]
    teacher: str
    data: str
    accuracy: float
    seed: int
    version: int = 2

    def __post_init__(self) -> None:
        _check_origin(self)
        if len(self.parts) != len(self.spec.dims) or not all(map(is_digest, self.parts)):
            raise ConfigError(f"parts must be {len(self.spec.dims)} digests, one for each token")
        if self.labels and len(self.labels) != self.spec.num_classes:
            raise ConfigError(f"{len(self.labels)} labels for {self.spec.num_classes} classes")
        if not all(isinstance(label, str) for label in self.labels):
            raise ConfigError("labels must be names")

    @property
    def covered(self) -> dict[str, Any]:
        """What the digest is over, beside the weights."""
        spec = asdict(self.spec)
        return spec if self.version == 1 else spec | {"parts": self.parts, "labels": self.labels}


Info = PartInfo | FusionInfo


def is_digest(value: object) -> bool:
    """Whether `value` is 64 hexadecimal digits."""
    return isinstance(value, str) and len(value) == DIGEST_CHARS and set(value) <= set("0123456789abcdef")


def to_metadata(kind: str, info: Info, digest: str) -> dict[str, str]:
    """One JSON string for each field, with what file it is, its version and its digest."""
    values = {"kind": kind, "version": info.version, "digest": digest} | asdict(info)
    return {name: json.dumps(value) for name, value in values.items()}


def from_metadata(metadata: Mapping[str, str], kind: str, path: Path) -> tuple[Info, str]:
    """What the metadata of `path` say, and the digest; ModelError, naming the file, for any other file."""
    try:
        values = {name: json.loads(text) for name, text in metadata.items()}
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: its metadata are not JSON, so it is no {kind}") from error
    found = values.get("kind")
    if found != kind:
        named = found if found in (PART, FUSION) else "neither part nor fusion of devit"
        raise ModelError(f"{path}: is {named}, not a {kind}")
    version, known = values.get("version"), VERSIONS[kind]
    if version not in known:
        reads = " and ".join(map(str, known))
        raise ModelError(f"{path}: is of version {version!r:.20}; this program reads {reads}")
    try:
        info = _part_info(values) if kind == PART else _fusion_info(values)
        digest = values["digest"]
    except KeyError as error:
        raise ModelError(f"{path}: metadata of a {kind} need {error}") from error
    except (TypeError, ConfigError) as error:
        raise ModelError(f"{path}: metadata do not describe a {kind}: {first_line(error)}") from error
    if not is_digest(digest):
        raise ModelError(f"{path}: its digest is not {DIGEST_CHARS} hexadecimal digits")
    return info, digest


def _part_info(values: dict[str, Any]) -> PartInfo:
    named = {field.name: values[field.name] for field in fields(PartInfo)}
    named["architecture"] = Architecture(**named["architecture"])
    named["classes"] = _listed(named["classes"])
    return PartInfo(**named)


def _fusion_info(values: dict[str, Any]) -> FusionInfo:
    named = {field.name: values[field.name] for field in fields(FusionInfo)}
    named["spec"] = FusionSpec(**named["spec"] | {"dims": _listed(named["spec"]["dims"])})
    named |= {name: _listed(named[name]) for name in ("parts", "labels")}
    return FusionInfo(**named)


def _listed(value: object) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ConfigError("dims, classes, parts and labels must be lists")
    return tuple(value)


def _check_origin(info: Info) -> None:
    if not isinstance(info.data, str) or not is_digest(info.teacher):
        raise ConfigError("data must be a name, and teacher a digest of 64 hexadecimal digits")
    if not isinstance(info.seed, int) or not isinstance(info.accuracy, int | float):
        raise ConfigError("seed and accuracy must be numbers")
    if not 0 <= info.accuracy <= 1:
        raise ConfigError(f"accuracy must be 0 to 1, not {info.accuracy}")
