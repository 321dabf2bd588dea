"""`devit fit`: from labelled pictures and a large model to parts and a fusion, resumable at every step."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from commands.devit.budget import Budget
from commands.devit.course import course_figure, read_course
from commands.devit.large import large_architecture, small_architecture
from commands.devit.options import FitOptions, PlanFile
from commands.devit.reading import Labelled, Shown, read_pictures
from commands.devit.report import summary_of, summary_table
from commands.devit.scene import LOG, Scene
from commands.devit.trainings import Trainings
from commands.runtime import OK, announce
from devit.architecture import Architecture
from devit.partition import partition
from models.packing import configure_threads
from pipeline.errors import ConfigError
from sources.base import FrameGeometry

HELD_OUT_SHARE = 0.1
SUMMARY, CURVES = "summary.json", "curves.html"


def run(
    options: FitOptions,
    plan: PlanFile,
    folder: Path,
    *,
    device: str,
    threads: int,
    began: float,
    checkpoint_s: float = 30.0,
) -> int:
    """Do what is left of the run in `folder`, whose plan is claimed; JanusError where it cannot go on.

    Minutes that were given count from `began`, on the machine's monotonic clock.
    """
    check_device(device)
    configure_threads(threads)
    console = Console(highlight=False)
    scene = scene_of(options, plan, folder, device, checkpoint_s)
    budget = Budget(scene, plan, console.print, began)
    trainings = Trainings(scene, budget.steps, plan)
    large = trainings.large()
    students = [
        trainings.student(part, large, trainings.teacher(part, large)) for part in range(options.parts)
    ]
    trainings.fusion(large, students)
    write_summary(scene, console)
    return OK


def check_device(device: str) -> None:
    """ConfigError unless torch can compute on `device`."""
    if device != "cpu" and not (device.startswith("cuda") and torch.cuda.is_available()):
        raise ConfigError(f"--device {device}: not here; choose cpu, or cuda where there is a GPU")


def scene_of(
    options: FitOptions, plan: PlanFile, folder: Path, device: str, checkpoint_s: float = 30.0
) -> Scene:
    """The data, read and split, and the models' sizes; ConfigError where they have changed since the run
    began, or do not fit each other."""
    sized = large_architecture(options.model, options.input_size, 1)
    small = small_architecture(
        *(sized, options.sigma, options.small_depth, options.small_heads, options.small_mlp)
    )
    train = read(options.data, options, sized, folder, known=plan.get("data", None))
    plan.same("data", train.digest)
    if options.test is None:
        shown, held_out = train.pictures.split(HELD_OUT_SHARE, options.seed)
    else:
        test = read(options.test, options, sized, folder, train.names, known=plan.get("test", None))
        plan.same("test", test.digest)
        shown, held_out = train.pictures, test.pictures
    count = len(train.names)
    subsets = partition(count, options.parts, options.seed)
    if not options.partition:
        subsets = (tuple(range(count)),) * options.parts
    large = sized.with_classes(count)
    return Scene(
        *(folder, options, shown, held_out, train.names, large, small.with_classes(count), subsets, device),
        watch=watching,
        checkpoint_s=checkpoint_s,
    )


def read(
    where: str,
    options: FitOptions,
    sized: Architecture,
    folder: Path,
    names: tuple[str, ...] | None = None,
    *,
    known: str | None = None,
) -> Labelled:
    """The pictures of `where` as the models of a run take them, whose plan remembers `known` of them; says
    where the models are not made for them."""
    geometry = FrameGeometry(sized.input_size, sized.spec.crop_pct)
    shown = Shown(geometry, sized.frames, options.stride, options.limit, options.seed)
    with watching(f"read {Path(where).name}", 1) as done:
        labelled = read_pictures(Path(where), shown, folder / "steps", names, done, known=known)
    still = len(labelled.pictures) - labelled.videos
    if sized.frames == 1 and labelled.videos:
        announce(
            f"{where}: {options.model} is for images and sees one frame of each video; names of models for "
            "clips end in 16x224 or xFRAMES"
        )
    if sized.frames > 1 and still:
        announce(f"{where}: {still} images are shown as clips of {sized.frames} frames that are all alike")
    return labelled


def write_summary(scene: Scene, console: Console) -> None:
    """Measure what was trained; write summary.json and the plot, and print the table."""
    summary = summary_of(scene.folder, scene.test, scene.device)
    (scene.folder / SUMMARY).write_text(json.dumps(summary, indent=1) + "\n")
    epochs = read_course(scene.folder / LOG)
    course_figure(epochs).write_html(scene.folder / CURVES, include_plotlyjs=True)
    console.print(
        summary_table(summary, f"{scene.options.model} on {scene.data}, {len(scene.test)} pictures")
    )
    console.print(escape(f"{scene.folder}: {len(scene.subsets)} parts, fusion, {SUMMARY}, {LOG}, {CURVES}"))


@contextmanager
def watching(name: str, total: int) -> Iterator[Callable[..., None]]:
    """A bar on stderr that is told how many are done, and of how many where that has changed."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=total)
        yield lambda done, of=None: progress.update(task, completed=done, total=of)
