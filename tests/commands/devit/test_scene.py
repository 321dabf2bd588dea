import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from commands.devit import scene as scene_module
from commands.devit.course import Course, Epoch, read_course
from commands.devit.fit import scene_of
from commands.devit.options import PlanFile
from commands.devit.scene import Scene, kind_of
from devit.backbones import build
from devit.checkpoints import Checkpoint
from devit.objectives import Classify
from devit.training import StepResult
from tests.commands.devit.shapes import options_for


def scene(finished: Path) -> Scene:
    options = options_for(finished)
    plan = PlanFile(finished / "run", options)
    plan.claim(resume=True)
    return scene_of(options, plan, finished / "run", "cpu")


def test_every_training_draws_by_a_seed_of_its_own_and_learns_at_the_rate_of_its_kind(finished: Path) -> None:
    shown = scene(finished)
    names = ("large", "teacher-1", "teacher-2", "part-1", "fusion")
    assert len({shown.seed_of(name) for name in names}) == len(names)
    other = replace(shown, options=replace(shown.options, seed=1))
    assert shown.seed_of("large") != other.seed_of("large")
    options = replace(shown.options, rate_large=0.1, rate_parts=0.2, rate_fusion=0.3)
    rates = [replace(shown, options=options).recipe(name, 5).rate for name in names]
    assert rates == [0.1, 0.1, 0.1, 0.2, 0.3]
    assert [kind_of(name) for name in names] == ["large", "teacher", "teacher", "part", "fusion"]


def test_a_training_tells_its_steps_and_writes_its_course(finished: Path, tmp_path: Path) -> None:
    shown = replace(scene(finished), folder=tmp_path)
    model = build(shown.large, seed=0)
    start = model.state_dict()["head.weight"].clone()
    data, scored = (shown.train, shown.test), (model, shown.large)
    shown.teach("large", model, Classify(model, shown.large), scored=scored, data=data, steps=0)
    assert torch.equal(model.state_dict()["head.weight"], start)
    shown.teach("large", model, Classify(model, shown.large), scored=scored, data=data, steps=7)
    assert not torch.equal(model.state_dict()["head.weight"], start)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["steps"]) for line in lines] == [(1, 5), (2, 2)]
    assert (tmp_path / "steps" / "large.checkpoint").exists()


def teach(shown: Scene, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    model = build(shown.large, seed=0)
    shown = replace(shown, folder=folder, checkpoint_s=0)
    shown.teach(
        *("large", model, Classify(model, shown.large)),
        scored=(model, shown.large),
        data=(shown.train, shown.test),
        steps=7,
    )


def course(folder: Path) -> list[Epoch]:
    """Without the seconds, of which no two are alike."""
    return [replace(epoch, seconds=0.0) for epoch in read_course(folder / "log.jsonl")]


@pytest.mark.parametrize(
    ("owner", "name"), [(Checkpoint, "save"), (Course, "add"), (scene_module, "accuracy")]
)
def test_a_training_that_is_killed_after_every_step_has_each_epoch_once_and_whole(
    owner: object, name: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, work = scene(finished), getattr(owner, name)
    teach(shown, tmp_path / "unbroken")
    calls: list[int] = []

    def killed(*given: Any) -> Any:
        done = work(*given)
        calls.append(len(calls))
        if calls[-1] % 2 == 0:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(owner, name, killed)
    for _ in range(20):
        with suppress(KeyboardInterrupt):
            teach(shown, tmp_path / "broken")
    assert len(calls) > 2
    assert course(tmp_path / "broken") == course(tmp_path / "unbroken")
    assert [epoch.steps for epoch in course(tmp_path / "broken")] == [5, 2]


def test_an_epoch_s_seconds_are_those_of_all_its_steps(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, heard = scene(finished), list[StepResult]()
    add, save = Course.add, Checkpoint.save

    def hear(self: Course, result: StepResult) -> None:
        add(self, result)
        heard.append(result)

    def kill(*given: Any) -> None:
        save(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(Course, "add", hear)
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(Checkpoint, "save", kill)
        teach(shown, tmp_path)
    teach(shown, tmp_path)
    assert [result.step for result in heard] == list(range(7))
    (first, _) = read_course(tmp_path / "log.jsonl")
    assert first.seconds == pytest.approx(sum(result.seconds for result in heard[:5]))
