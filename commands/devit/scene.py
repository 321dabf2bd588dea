"""What all trainings of a run share: `Scene`, and the recipe of each."""

import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from commands.devit.course import Course
from commands.devit.options import FitOptions
from devit.architecture import Architecture
from devit.checkpoints import Checkpoint
from devit.data import Batches, Pictures
from devit.evaluation import accuracy
from devit.recipe import Recipe
from devit.training import Objective, StepResult, train

LOG = "log.jsonl"
HELD_OUT = 1000

KINDS = ("large", "teacher", "part", "fusion")

Watch = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def kind_of(name: str) -> str:
    """Of which of the four kinds the training `name` is: teacher-2 is a teacher."""
    return name.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Scene:
    """The data, the models' sizes, the classes of each part, and where the run's files lie.

    `watch(name, total)` opens something that hears how many steps are done. `checkpoint_s` is how often a
    training is kept.
    """

    folder: Path
    options: FitOptions
    train: Pictures
    test: Pictures
    labels: tuple[str, ...]
    large: Architecture
    small: Architecture
    subsets: tuple[tuple[int, ...], ...]
    device: str
    watch: Watch
    checkpoint_s: float = 30.0

    @property
    def data(self) -> str:
        """The data's name, without the place where it lies."""
        return Path(self.options.data).stem

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """[T, S, S, 3] of what all models are shown."""
        return self.large.frames, self.large.input_size, self.large.input_size, 3

    def steps(self, name: str) -> Path:
        """A file of the run that nobody needs after it."""
        (self.folder / "steps").mkdir(exist_ok=True)
        return self.folder / "steps" / name

    def to_come(self, kind: str) -> int:
        """How many trainings of `kind` have not made their file yet."""
        if kind in ("large", "fusion"):
            return int(not (self.folder / f"{kind}.safetensors").exists())
        names = (f"{kind}-{part + 1}.safetensors" for part in range(len(self.subsets)))
        return sum(not self.steps(name).exists() for name in names)

    def part(self, part: int) -> Path:
        """The file of part 0, 1, ..., which the names of files count from 1."""
        return self.folder / f"part-{part + 1}.safetensors"

    def seed_of(self, name: str) -> int:
        """A seed for everything that is drawn for `name`."""
        return zlib.crc32(f"{self.options.seed} {name}".encode())

    def batches(self, name: str, pictures: Pictures) -> Batches:
        return Batches(pictures, self.options.batch_size, self.seed_of(name), self.options.augment)  # type: ignore[arg-type]

    def recipe(self, name: str, steps: int) -> Recipe:
        rates = {
            "large": self.options.rate_large,
            "teacher": self.options.rate_large,
            "part": self.options.rate_parts,
            "fusion": self.options.rate_fusion,
        }
        return Recipe(steps, rates[kind_of(name)], self.seed_of(name))

    def teach(
        self,
        name: str,
        model: nn.Module,
        objective: Objective,
        *,
        scored: tuple[nn.Module, Architecture],
        data: tuple[Pictures, Pictures],
        steps: int,
    ) -> None:
        """Train `model` on the first of `data`, from its checkpoint if there is one, scoring `scored` on
        the second."""
        if not steps:
            return
        batches, held_out = self.batches(name, data[0]), data[1].sample(HELD_OUT, self.options.seed)
        course = Course(
            *(self.folder / LOG, name, batches.per_epoch, steps),
            lambda: accuracy(*scored, held_out, self.device),
        )
        with self.watch(name, steps) as done:

            def on_step(result: StepResult) -> None:
                course.add(result)
                done(result.step + 1)

            checkpoint = Checkpoint(self.steps(f"{name}.checkpoint"), self.checkpoint_s, sums=course.sums)
            recipe = self.recipe(name, steps)
            train(
                *(model, objective, batches, recipe),
                on_step=on_step,
                checkpoint=checkpoint,
                device=self.device,
            )
