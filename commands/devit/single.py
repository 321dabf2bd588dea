"""Single steps of DeViT by themselves: `devit partition` and `devit evaluate`."""

import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from commands.devit.fit import check_device, read, scene_of
from commands.devit.options import PLAN, FitOptions, PlanFile, read_plan
from commands.devit.report import summary_of, summary_table
from commands.runtime import OK
from devit.partition import partition
from pipeline.errors import ConfigError
from sources.labelled import open_examples


def show_partition(data: str, parts: int, seed: int) -> int:
    """Print the classes of each part, and how many pictures they have."""
    with open_examples(Path(data)) as examples:
        labels = [example.class_id for example in examples]
        known = [label for label in labels if label is not None]
        if not known:
            raise ConfigError(f"{data}: has no classes; give one sub-folder a class, or a table")
        names = examples.classes or tuple(map(str, range(max(known) + 1)))
    table = Table("part", "pictures", "classes")
    for part, classes in enumerate(partition(len(names), parts, seed), 1):
        count = sum(label in classes for label in known)
        table.add_row(str(part), str(count), ", ".join(names[one] for one in classes))
    Console(highlight=False).print(table)
    return OK


def evaluate(folder: Path, test: str | None, device: str, as_json: bool) -> int:
    """Measure the run in `folder` with its own test data, or with `test`."""
    check_device(device)
    options = _options_of(folder)
    plan = PlanFile(folder, options)
    plan.claim(resume=True)
    if test is None:
        pictures = scene_of(options, plan, folder, device).test
    else:
        scene = scene_of(options, plan, folder, device)
        pictures = read(test, replace(options, limit=None), scene.large, folder, scene.labels).pictures
    summary = summary_of(folder, pictures, device)
    if as_json:
        print(json.dumps(summary, indent=1))
    else:
        Console(highlight=False).print(summary_table(summary, f"{folder.name}, {len(pictures)} pictures"))
    return OK


def _options_of(folder: Path) -> FitOptions:
    stored = read_plan(folder / PLAN)["options"]
    try:
        return FitOptions(**stored)
    except TypeError as error:
        raise ConfigError(f"{folder / PLAN}: is no plan of this program; name another folder") from error
