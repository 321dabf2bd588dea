"""What files of parts and fusions say of themselves: `PartInfo`, `FusionInfo`, and their metadata."""

import json
import math
from collections.abc import Mapping, Sequence
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
CROP_PCT, LEAST_CROP_PCT = 0.9, 0.5
MOST_ELEMENTS = 1 << 26

Shape = tuple[int, ...]


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
        if not all(type(one) is int and one >= 0 for one in self.classes):
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

    `labels` name the classes, or are empty; the parts were shown clips of `shape` [T, H, W, 3], cropped to
    the share `crop_pct` of a frame's shorter side. The rest is as for a part, over all classes. Files of
    `version` 1 say neither crop nor shape, and their digest covers neither parts nor labels.
    """

    spec: FusionSpec
    parts: tuple[str, ...]
    labels: tuple[str, ...]
    teacher: str
    data: str
    accuracy: float
    seed: int
    crop_pct: float = CROP_PCT
    shape: Shape | None = None
    version: int = 2

    def __post_init__(self) -> None:
        _check_origin(self)
        if type(self.crop_pct) not in (int, float) or not LEAST_CROP_PCT <= self.crop_pct <= 1:
            raise ConfigError(f"crop_pct must be {LEAST_CROP_PCT} to 1, not {self.crop_pct!r:.20}")
        if len(self.parts) != len(self.spec.dims) or not all(map(is_digest, self.parts)):
            raise ConfigError(f"parts must be {len(self.spec.dims)} digests, one for each token")
        if self.labels and len(self.labels) != self.spec.num_classes:
            raise ConfigError(f"{len(self.labels)} labels for {self.spec.num_classes} classes")
        if not all(isinstance(label, str) for label in self.labels):
            raise ConfigError("labels must be names")
        if self.shape is not None and not is_clip_shape(self.shape):
            raise ConfigError(f"parts take clips [T, H, H, 3], not {list(self.shape)!r:.60}")

    @property
    def covered(self) -> dict[str, Any]:
        """What the digest is over, beside the weights."""
        spec = asdict(self.spec)
        if self.version == 1:
            return spec
        return spec | {name: getattr(self, name) for name in ("parts", "labels", "crop_pct", "shape")}


Info = PartInfo | FusionInfo


def is_clip_shape(shape: Sequence[Any]) -> bool:
    """Whether `shape` is [T, H, H, 3], of no more elements than a clip may have."""
    if len(shape) != len("THWC") or not all(type(size) is int and size > 0 for size in shape):
        return False
    _, height, width, channels = shape
    return bool(height == width and channels == len("RGB") and math.prod(shape) <= MOST_ELEMENTS)


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
    if type(version) is not int or version not in known:
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
    if values["version"] == 1:
        values = values | {"crop_pct": CROP_PCT, "shape": None}
    named = {field.name: values[field.name] for field in fields(FusionInfo)}
    named["spec"] = FusionSpec(**named["spec"] | {"dims": _listed(named["spec"]["dims"])})
    listed = [name for name in ("parts", "labels", "shape") if named[name] is not None]
    named |= {name: _listed(named[name]) for name in listed}
    return FusionInfo(**named)


def _listed(value: object) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ConfigError("dims, classes, parts, labels and shape must be lists")
    return tuple(value)


def _check_origin(info: Info) -> None:
    if not isinstance(info.data, str) or not is_digest(info.teacher):
        raise ConfigError("data must be a name, and teacher a digest of 64 hexadecimal digits")
    if type(info.seed) is not int or type(info.accuracy) not in (int, float):
        raise ConfigError("seed and accuracy must be numbers")
    if not 0 <= info.accuracy <= 1:
        raise ConfigError(f"accuracy must be 0 to 1, not {info.accuracy}")
