from dataclasses import replace
from pathlib import Path

import pytest
import torch

from commands.devit.options import PlanFile
from commands.devit.scene import KINDS
from commands.devit.trainings import Trainings, throwaway
from devit.files import load_part
from devit.importance import importance
from devit.objectives import Classify, Fuse, Subtask
from devit.shrink import shrink
from models.preprocessing import preprocess
from tests.commands.devit.shapes import options_for
from tests.commands.devit.test_scene import scene


def plan_of(run: Path, finished: Path) -> PlanFile:
    plan = PlanFile(run, options_for(finished))
    plan.claim(resume=True)
    return plan


def test_what_is_there_is_not_trained_again(finished: Path) -> None:
    run = finished / "run"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.safetensors")}
    trainings = Trainings(scene(finished), {}.__getitem__, plan_of(run, finished))
    large = trainings.large()
    students = [trainings.student(part, large, trainings.teacher(part, large)) for part in range(2)]
    assert trainings.fusion(large, students).info.teacher == large.digest
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*.safetensors")} == before


def test_an_untrained_part_is_its_teacher_shrunk_by_what_matters_to_its_classes(
    finished: Path, tmp_path: Path
) -> None:
    shown = replace(scene(finished), folder=tmp_path)
    trainings = Trainings(shown, lambda kind: 0, plan_of(tmp_path, finished))
    large = load_part(finished / "run" / "large.safetensors")
    teacher = load_part(finished / "run" / "steps" / "teacher-2.safetensors")
    student = trainings.student(1, large, teacher)
    (batch,) = shown.train.of_classes(shown.subsets[1]).in_order(40)
    pixels = preprocess(batch.frames, shown.large.spec)
    matters = importance(teacher.model, [(pixels, batch.labels)])
    wanted = shrink(teacher.model, matters, student.info.architecture).state_dict()
    found = student.model.state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_timed_is_what_is_trained(kind: str, finished: Path) -> None:
    model, objective, scored = throwaway(scene(finished), kind)
    wanted = {"large": Classify, "teacher": Classify, "part": Subtask, "fusion": Fuse}
    assert type(objective) is wanted[kind]
    learner = objective.ensemble if isinstance(objective, Fuse) else None
    parameters = set(model.parameters())
    if learner is not None:
        assert set(learner.parameters()) < parameters
        assert scored is learner
    elif isinstance(objective, Subtask):
        assert set(objective.student.parameters()) == parameters
        assert scored is objective.student
    else:
        assert objective.model is model is scored
