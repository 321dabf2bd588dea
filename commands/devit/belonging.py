"""Whether a model that lies in the folder of a run is that run's own: `claim`."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from commands.devit.options import DIGEST, PlanFile
from commands.devit.scene import Scene
from devit.files import Part, SavedFusion
from pipeline.errors import ConfigError

DIGITS = 64
DIGITS_SHOWN = 8


def claim(
    path: Path,
    saved: Part | SavedFusion,
    scene: Scene,
    plan: PlanFile,
    wanted: Mapping[str, object],
    *,
    found: bool,
) -> None:
    """Remember the digest of `saved`, which was read from `path`, as this run's own.

    ConfigError, naming the file and what is wrong, where its metadata are not those of `scene` and
    `wanted` (sizes, classes, teacher), or where it was `found` and is not what `plan` remembers.
    """
    name = DIGEST + path.stem
    known = plan.get(name, saved.digest) if found else saved.digest
    own = {"data": scene.data, "seed": scene.options.seed, "digest": known}
    told = _told(saved)
    for key, value in {**wanted, **own}.items():
        if told[key] != value:
            raise ConfigError(
                f"{path}: is of another run, with {key} {_shown(told[key])} where this one has "
                f"{_shown(value)}; remove it, or name another folder"
            )
    plan.renew(name, saved.digest)


def _told(saved: Part | SavedFusion) -> dict[str, Any]:
    made_of = saved.info.architecture if isinstance(saved, Part) else saved.info.spec
    return asdict(saved.info) | asdict(made_of) | {"digest": saved.digest}


def _shown(value: object) -> str:
    text = str(value)
    if isinstance(value, str) and len(text) == DIGITS:
        return text[:DIGITS_SHOWN]
    return text if len(text) <= DIGITS else text[:DIGITS] + "..."
