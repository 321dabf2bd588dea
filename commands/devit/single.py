"""Single steps of DeViT by themselves: `devit partition` and `devit evaluate`."""

import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from commands.devit.fit import check_device, read, scene_of
from commands.devit.options import PLAN, FitOptions, PlanFile, read_options
from commands.devit.report import load_run, summary_of, summary_table
from commands.runtime import OK
from devit.data import Pictures
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
    options = read_options(folder / PLAN)
    pictures = _own(folder, options, device) if test is None else _others(folder, options, test)
    summary = summary_of(folder, pictures, device)
    if as_json:
        print(json.dumps(summary, indent=1))
    else:
        Console(highlight=False).print(summary_table(summary, f"{folder.name}, {len(pictures)} pictures"))
    return OK


def _own(folder: Path, options: FitOptions, device: str) -> Pictures:
    """What the run in `folder` was measured with."""
    options.require_data()
    plan = PlanFile(folder, options)
    plan.claim(resume=True)
    return scene_of(options, plan, folder, device).test


def _others(folder: Path, options: FitOptions, test: str) -> Pictures:
    """`test` as the models in `folder` take it; the run's own data need not be there."""
    large, _, fusion = load_run(folder)
    labels = fusion.info.labels or None
    return read(test, replace(options, limit=None), large.info.architecture, folder, labels).pictures
