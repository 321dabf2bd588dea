from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.devit.budget import Effort, seconds_a_step, steps_of, total_s, wanted
from commands.devit.fit import scene_of
from commands.devit.options import PlanFile
from commands.devit.scene import KINDS
from tests.commands.devit.shapes import options_for

SECONDS = {"large": 0.5, "teacher": 0.4, "part": 0.1, "fusion": 0.6}


def test_epochs_become_steps_of_what_each_training_is_shown(tmp_path: Path) -> None:
    options = options_for(tmp_path, parts=3, epochs_large=2, epochs_teachers=1.5, epochs_parts=0.01)
    assert wanted(options, whole=30, subset=10) == {
        "large": Effort(1, 60),
        "teacher": Effort(3, 15),
        "part": Effort(3, 1),
        "fusion": Effort(1, 120),
    }
    cut = options_for(tmp_path, teachers="large", epochs_fusion=0)
    assert wanted(cut, 30, 10)["teacher"] == Effort(2, 0)
    assert wanted(cut, 30, 10)["fusion"] == Effort(1, 0)


@given(st.lists(st.integers(100, 1000), min_size=4, max_size=4), st.integers(1, 6), st.floats(1, 200))
def test_a_time_scales_all_trainings_alike_and_is_kept(steps: list[int], parts: int, minutes: float) -> None:
    counts = (1, parts, parts, 1)
    efforts = {kind: Effort(count, each) for kind, count, each in zip(KINDS, counts, steps, strict=True)}
    found = steps_of(efforts, SECONDS, minutes)
    planned = {kind: Effort(effort.count, found[kind]) for kind, effort in efforts.items()}
    one_more = sum(effort.count * SECONDS[kind] for kind, effort in efforts.items())
    assert total_s(planned, SECONDS) == pytest.approx(54 * minutes, abs=one_more + 1e-6)
    scale = 54 * minutes / total_s(efforts, SECONDS)
    assert all(found[kind] == pytest.approx(efforts[kind].steps * scale, abs=1) for kind in KINDS)


def test_without_a_time_all_is_as_asked_and_nothing_stays_nothing() -> None:
    efforts = {kind: Effort(1, 7) for kind in KINDS} | {"teacher": Effort(2, 0)}
    asked = {kind: effort.steps for kind, effort in efforts.items()}
    assert steps_of(efforts, SECONDS, None) == asked
    short = steps_of(efforts, SECONDS, 0.001)
    assert short == {"large": 1, "teacher": 0, "part": 1, "fusion": 1}


def test_every_kind_of_training_is_timed_and_leaves_nothing_behind(finished: Path) -> None:
    plan = PlanFile(finished / "run", options_for(finished))
    plan.claim(resume=True)
    before = sorted((finished / "run").rglob("*"))
    seconds = seconds_a_step(scene_of(options_for(finished), plan, finished / "run", "cpu"))
    assert tuple(seconds) == KINDS
    assert all(0 < one < 5 for one in seconds.values())
    assert sorted((finished / "run").rglob("*")) == before
