"""`train-sample`: make the small model that ships, from nothing but a seed."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from safetensors.torch import save_file

from commands.outputs import make_room
from commands.sample.clips import FRAMES, SIZE, batches
from commands.sample.training import Schedule, StepResult, Training
from models import SplitViT
from models.packing import configure_threads
from sources.motions import LABELS, motion_sequence

HELD_OUT_SEED = 1_000_003
HELD_OUT_CLIPS = 1600
SAVE_EVERY = 100
SMOOTHING = 0.98


@dataclass(slots=True)
class Score:
    """How many clips of each class were shown, and how many recognised."""

    shown: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)

    def add(self, truth: str, guess: str) -> None:
        self.shown[truth] += 1
        self.right[truth] += truth == guess

    @property
    def accuracy(self) -> float:
        return self.right.total() / self.shown.total()


def run(
    *,
    output: Path,
    seed: int,
    steps: int,
    batch_size: int,
    threads: int,
    resume: bool,
    clips: int = HELD_OUT_CLIPS,
) -> int:
    """Train the motions model, measure it on `clips` clips of another seed, write it to `output`.

    A checkpoint beside `output` is renewed every 100 steps; `resume` goes on from it. Returns the
    exit status; ConfigError for settings that do not fit each other or the checkpoint.
    """
    console = Console()
    configure_threads(threads)
    schedule = Schedule(seed, steps, batch_size)
    checkpoint = output.with_name(output.name + ".checkpoint")
    make_room(output)
    training = Training.load(checkpoint, schedule) if resume and checkpoint.exists() else Training(schedule)
    _train(training, checkpoint, console)
    model = training.model.eval().half().float()
    score = held_out_score(model, HELD_OUT_SEED + seed, clips)
    _show(console, score)
    write_weights(model, schedule, score, output)
    checkpoint.unlink(missing_ok=True)
    console.print(f"{output}: {output.stat().st_size / 1e6:.2f} MB, accuracy {score.accuracy:.4f}")
    return 0


def held_out_score(model: SplitViT, seed: int, clips: int) -> Score:
    """What `model` makes of the first `clips` clips of `seed`."""
    score = Score()
    for index in range(clips):
        label, clip = motion_sequence(seed, index, FRAMES, SIZE)
        with torch.inference_mode():
            guess = model(model.preprocess(clip[None])).argmax().item()
        score.add(label, LABELS[int(guess)])
    return score


def write_weights(model: SplitViT, schedule: Schedule, score: Score, path: Path) -> None:
    """Write float16 safetensors that say which classes they know and how they were made."""
    state = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    metadata = {
        "labels": json.dumps(LABELS),
        "seed": str(schedule.seed),
        "steps": str(schedule.steps),
        "accuracy": f"{score.accuracy:.4f}",
        "command": f"main.py train-sample --seed {schedule.seed} --steps {schedule.steps} "
        f"--batch-size {schedule.batch_size}",
    }
    save_file(state, path, metadata)


def _train(training: Training, checkpoint: Path, console: Console) -> None:
    schedule = training.schedule
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown = StepResult(0.0, 0.0)
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=schedule.steps, completed=training.step)
        for clips, labels in batches(schedule.seed, training.step, schedule.steps, schedule.batch_size):
            shown = _smoothed(shown, training.learn(clips, labels), training.step)
            described = f"loss {shown.loss:.3f} accuracy {shown.accuracy:.3f}"
            progress.update(task, completed=training.step, description=described)
            if training.step % SAVE_EVERY == 0:
                training.save(checkpoint)
                console.print(f"step {training.step}: {described}")


def _smoothed(before: StepResult, now: StepResult, step: int) -> StepResult:
    """A running mean: of all steps at first, of about the last fifty later."""
    keep = min(SMOOTHING, 1 - 1 / step)
    return StepResult(
        keep * before.loss + (1 - keep) * now.loss, keep * before.accuracy + (1 - keep) * now.accuracy
    )


def _show(console: Console, score: Score) -> None:
    table = Table("motion", "clips", "recognised", title="Held-out clips")
    for label in LABELS:
        if score.shown[label]:
            table.add_row(label, str(score.shown[label]), f"{score.right[label] / score.shown[label]:.1%}")
    table.add_row("all", str(score.shown.total()), f"{score.accuracy:.1%}")
    console.print(table)
