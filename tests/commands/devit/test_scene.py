import json
from dataclasses import replace
from pathlib import Path

import torch

from commands.devit.fit import scene_of
from commands.devit.options import PlanFile
from commands.devit.scene import Scene, kind_of
from devit.backbones import build
from devit.objectives import Classify
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
