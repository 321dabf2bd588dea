"""Taking over from another run what would come out the same: for tables that vary one thing at a time."""

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from commands.devit.options import DATA, PLAN, STEPS, FitOptions, PlanFile, read_plan
from pipeline.errors import ConfigError

LARGE = (
    *("data", "test", "limit", "model", "weights", "input_size", "stride", "seed"),
    *("epochs_large", "minutes", "batch_size", "rate_large", "augment"),
)
TEACHERS = (*LARGE, "parts", "partition", "epochs_teachers", "teachers")
PARTS = (
    *(*TEACHERS, "sigma", "small_depth", "small_heads", "small_mlp", "epochs_parts", "rate_parts"),
    *("importance", "losses", "features", "beta"),
)
LENGTHS = (*TEACHERS, "epochs_parts", "epochs_fusion")
STAGES = (
    (LARGE, "large.safetensors"),
    (TEACHERS, "steps/teacher-*.safetensors"),
    (PARTS, "steps/part-*.safetensors"),
)


def take_over(source: Path, folder: Path, options: FitOptions, plan: PlanFile) -> list[str]:
    """Copy into `folder`, where a run of `options` begins, what the run in `source` has that all options
    which bear on it say alike; returns the names of the files.

    Numbers of steps are taken over too where nothing differs that they follow from; with `minutes` the
    shares of that time may differ, and the large model is taken as it is. ConfigError where not even the
    large model is alike, or is not there.
    """
    stored = read_plan(source / PLAN)
    own = asdict(options)
    differs = {name for name, value in own.items() if stored["options"].get(name) != value}
    if differs & set(LARGE):
        raise ConfigError(f"{source}: has another large model; it differs in {', '.join(sorted(differs))}")
    names = [name for name in _files(source, differs) if not (folder / name).exists()]
    if not (source / "large.safetensors").exists():
        raise ConfigError(f"{source}: has no large model yet; go on with that run first")
    _keep(stored["found"], plan, lengths=not differs & set(LENGTHS))
    (folder / "steps").mkdir(exist_ok=True)
    for name in names:
        unfinished = folder / f"{name}.part"
        shutil.copyfile(source / name, unfinished)
        unfinished.replace(folder / name)
    return names


def _files(source: Path, differs: set[str]) -> Iterator[str]:
    """What stays, stage by stage; the decoded pictures too."""
    for bearing, pattern in (*STAGES, (LARGE, "steps/frames-*.npy")):
        if not differs & set(bearing):
            yield from (path.relative_to(source).as_posix() for path in sorted(source.glob(pattern)))


def _keep(found: dict[str, Any], plan: PlanFile, lengths: bool) -> None:
    for name, value in found.items():
        if name in DATA or (name.startswith(STEPS) and lengths):
            plan.once(name, value)
