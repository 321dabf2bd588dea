"""How long the trainings of a run take: `seconds_a_step`, and `steps_of`, which fits them to a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from commands.devit.options import FitOptions
from commands.devit.scene import KINDS, Scene
from commands.devit.trainings import throwaway
from devit.training import StepResult, train

TRIED = 4
SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Effort:
    """A kind of training: how many of them there are, and how many steps each takes."""

    count: int
    steps: int


def wanted(options: FitOptions, whole: int, subset: int) -> dict[str, Effort]:
    """What the options ask for, by kind; an epoch of everything has `whole` steps, of a subset `subset`."""
    asked = {
        "large": (1, options.epochs_large, whole),
        "teacher": (options.parts, options.epochs_teachers if options.teachers == "subset" else 0, subset),
        "part": (options.parts, options.epochs_parts, subset),
        "fusion": (1, options.epochs_fusion, whole),
    }
    return {
        kind: Effort(count, max(1, round(epochs * steps)) if epochs else 0)
        for kind, (count, epochs, steps) in asked.items()
    }


def steps_of(
    efforts: Mapping[str, Effort], seconds: Mapping[str, float], minutes: float | None
) -> dict[str, int]:
    """Steps of each kind of training; with `minutes` scaled alike, so that nine tenths of that time are
    training. A training that is asked for has one step or more."""
    if minutes is None:
        return {kind: effort.steps for kind, effort in efforts.items()}
    scale = SHARE * minutes * 60 / total_s(efforts, seconds)
    return {
        kind: max(1, int(effort.steps * scale)) if effort.steps else 0 for kind, effort in efforts.items()
    }


def total_s(efforts: Mapping[str, Effort], seconds: Mapping[str, float]) -> float:
    """How long all trainings take together."""
    return sum(effort.count * effort.steps * seconds[kind] for kind, effort in efforts.items()) or 1.0


def seconds_a_step(scene: Scene) -> dict[str, float]:
    """What a step of each kind of training takes here: the median of a few that are thrown away."""
    found: dict[str, float] = {}
    for kind in KINDS:
        model, objective = throwaway(scene, kind)
        results: list[StepResult] = []
        recipe = scene.recipe(kind, TRIED)
        batches = scene.batches(kind, scene.train)
        train(model, objective, batches, recipe, on_step=results.append, device=scene.device)
        found[kind] = median(result.seconds for result in results[1:])
    return found
