"""For how long each training of a run goes on: `Budget`, which fits them to the minutes that were given."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from commands.devit.options import SPENT, STEPS, FitOptions, PlanFile
from commands.devit.scene import HELD_OUT, KINDS, Scene
from commands.devit.trainings import throwaway
from devit.evaluation import accuracy
from devit.steps import PICTURES
from devit.training import StepResult, train
from pipeline.clock import Clock, SystemClock

TRIED = 4
LOOKED_AT = 256
SHARE = 0.99
WHOLE = ("large", "fusion")
MEASURED = {"large": 2, "teacher": 1, "part": 3, "fusion": 2}


@dataclass(frozen=True, slots=True)
class Effort:
    """A kind of training: how many of them are to come, how many steps each is to take, what a step takes
    with its share of an epoch's scoring, and what each training takes beside its steps, in seconds."""

    count: int
    steps: int
    step_s: float = 0.0
    around_s: float = 0.0


def asked(options: FitOptions, kind: str, per_epoch: int) -> int:
    """How many steps the options ask of a training of `kind`, of which an epoch has `per_epoch`."""
    epochs = {
        "large": options.epochs_large,
        "teacher": options.epochs_teachers if options.teachers == "subset" else 0,
        "part": options.epochs_parts,
        "fusion": options.epochs_fusion,
    }[kind]
    return max(1, round(epochs * per_epoch)) if epochs else 0


def fitted(efforts: Mapping[str, Effort], available_s: float) -> dict[str, int]:
    """Steps of each kind, scaled alike so that all that is to come takes `available_s`.

    A training that is asked for has one step or more, however little time there is.
    """
    steps_s = sum(effort.count * effort.steps * effort.step_s for effort in efforts.values())
    around_s = sum(effort.count * effort.around_s for effort in efforts.values())
    scale = max(0.0, available_s - around_s) / (steps_s or math.inf)
    return {
        kind: max(1, int(effort.steps * scale)) if effort.steps else 0 for kind, effort in efforts.items()
    }


class Budget:
    """Decides, when the first training of a kind begins, how many steps that kind has, and remembers it.

    With minutes given, every decision looks at how fast this kind is trained by then and at what is left of
    them since `began`, a time of `clock`; of a run that was ended, what was spent before its last decision
    counts too.
    """

    def __init__(
        self,
        scene: Scene,
        plan: PlanFile,
        say: Callable[[str], None],
        began: float,
        clock: Clock | None = None,
    ) -> None:
        self._scene = scene
        self._plan = plan
        self._say = say
        self._clock = clock or SystemClock()
        self._began = began
        self._before_s: float = plan.get(SPENT, 0.0)
        self._efforts: dict[str, Effort] = {}

    def steps(self, kind: str) -> int:
        """How many steps a training of `kind` has."""
        name = STEPS + kind
        if not self._plan.knows(name):
            self._plan.once(name, self._decide(kind))
        steps: int = self._plan.get(name, 0)
        return steps

    def _decide(self, kind: str) -> int:
        minutes = self._scene.options.minutes
        steps = asked(self._scene.options, kind, per_epoch(self._scene, kind))
        if minutes is None or not steps:
            return steps
        for later in KINDS[KINDS.index(kind) :]:
            if later == kind or later not in self._efforts:
                self._efforts[later] = effort_of(self._scene, later)
        efforts = {later: self._efforts[later] for later in KINDS[KINDS.index(kind) :]}
        spent_s = self._before_s + self._clock.now() - self._began
        self._plan.renew(SPENT, spent_s)
        steps = fitted(efforts, SHARE * minutes * 60 - spent_s)[kind]
        effort = efforts[kind]
        self._say(
            f"{kind}: {effort.count} x {steps} steps of {effort.step_s:.3f} s; "
            f"{spent_s / 60:.1f} of {minutes:g} min are gone"
        )
        return steps


def per_epoch(scene: Scene, kind: str) -> int:
    """Steps in an epoch of the first training of `kind`."""
    shown = scene.train if kind in WHOLE else scene.train.of_classes(scene.subsets[0])
    return scene.batches(kind, shown).per_epoch


def effort_of(scene: Scene, kind: str) -> Effort:
    """What the trainings of `kind` that are to come take here; a few steps are tried and thrown away.

    Around a training are the measuring of what it made, then and at the run's end, and for a part the
    importance of what it is cut from, which takes about as long as training over the same pictures.
    """
    count, epoch = scene.to_come(kind), per_epoch(scene, kind)
    steps = asked(scene.options, kind, epoch)
    if not count or not steps:
        return Effort(count, 0)
    step_s, look_s = tried(scene, kind)
    own = scene.test if kind in WHOLE else scene.test.of_classes(scene.subsets[0])
    around_s = look_s * len(own) * MEASURED[kind]
    if kind == "part" and scene.options.importance != "random":
        pictures = min(PICTURES, len(scene.train.of_classes(scene.subsets[0])))
        around_s += step_s * pictures / scene.options.batch_size
    scored_s = look_s * min(HELD_OUT, len(own)) / epoch
    return Effort(count, steps, step_s + scored_s, around_s)


def tried(scene: Scene, kind: str) -> tuple[float, float]:
    """Seconds of a step of `kind`, the median of a few, and of looking at one picture with what it trains."""
    learner, objective, scored = throwaway(scene, kind)
    results: list[StepResult] = []
    recipe, batches = scene.recipe(kind, TRIED), scene.batches(kind, scene.train)
    train(learner, objective, batches, recipe, on_step=results.append, device=scene.device)
    looked_at = scene.test.sample(LOOKED_AT, 0)
    clock = SystemClock()
    started = clock.now()
    accuracy(scored, scene.large, looked_at, scene.device)
    look_s = (clock.now() - started) / len(looked_at)
    return median(result.seconds for result in results[1:]), look_s
