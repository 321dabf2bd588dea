from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.devit import budget as budget_module
from commands.devit.budget import STEPS, Budget, Effort, asked, effort_of, fitted, per_epoch, tried
from commands.devit.fit import scene_of
from commands.devit.options import PlanFile, read_plan
from commands.devit.scene import KINDS, Scene
from pipeline.clock import ManualClock, SystemClock
from tests.commands.devit.shapes import fit, options_for

STEP_S = {"large": 0.5, "teacher": 0.4, "part": 0.1, "fusion": 0.6}


def scene_with(finished: Path, folder: Path, **changes: object) -> tuple[Scene, PlanFile]:
    """A run in `folder` that has not trained anything."""
    options = options_for(finished, **changes)
    plan = PlanFile(folder, options)
    plan.claim(resume=True)
    return scene_of(options, plan, folder, "cpu"), plan


def test_epochs_become_steps_and_none_stays_none(tmp_path: Path) -> None:
    options = options_for(tmp_path, epochs_large=2, epochs_teachers=1.5, epochs_parts=0.01, epochs_fusion=0)
    steps = {kind: asked(options, kind, 10) for kind in KINDS}
    assert steps == {"large": 20, "teacher": 15, "part": 1, "fusion": 0}
    assert asked(replace(options, teachers="large"), "teacher", 10) == 0


def test_an_epoch_has_the_steps_of_what_a_training_is_shown(finished: Path, tmp_path: Path) -> None:
    scene, _ = scene_with(finished, tmp_path)
    assert {kind: per_epoch(scene, kind) for kind in KINDS} == {
        "large": 5,
        "teacher": 2,
        "part": 2,
        "fusion": 5,
    }


@given(st.lists(st.integers(100, 1000), min_size=4, max_size=4), st.integers(1, 6), st.floats(600, 9000))
def test_steps_are_scaled_alike_and_fill_the_time(steps: list[int], parts: int, available_s: float) -> None:
    counts = (1, parts, parts, 1)
    efforts = {
        kind: Effort(count, each, STEP_S[kind], around_s=7.0)
        for kind, count, each in zip(KINDS, counts, steps, strict=True)
    }
    found = fitted(efforts, available_s)
    taken_s = sum(one.count * (found[kind] * one.step_s + one.around_s) for kind, one in efforts.items())
    one_more_s = sum(one.count * one.step_s for one in efforts.values())
    assert available_s - one_more_s - 1e-6 <= taken_s <= available_s + one_more_s
    scale = found["large"] / efforts["large"].steps
    assert all(found[kind] == pytest.approx(efforts[kind].steps * scale, rel=0.02, abs=2) for kind in KINDS)


def test_with_no_time_left_what_is_asked_for_has_one_step() -> None:
    efforts = {kind: Effort(2, 7, 1.0, 5.0) for kind in KINDS} | {"teacher": Effort(2, 0, 1.0, 5.0)}
    assert fitted(efforts, 3.0) == {"large": 1, "teacher": 0, "part": 1, "fusion": 1}
    assert fitted({"fusion": Effort(0, 0)}, 3.0) == {"fusion": 0}


def told(
    finished: Path, folder: Path, clock: ManualClock, said: list[str], minutes: float | None = 1.0
) -> Budget:
    scene, plan = scene_with(finished, folder, minutes=minutes)
    return Budget(scene, plan, said.append, began=0.0, clock=clock)


@pytest.fixture
def a_second_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_module, "tried", lambda scene, kind: (1.0, 0.0))


@pytest.mark.usefixtures("a_second_a_step")
def test_time_that_went_by_is_taken_from_what_is_to_come(finished: Path, tmp_path: Path) -> None:
    clock, said = ManualClock(), list[str]()
    budget = told(finished, tmp_path, clock, said)
    clock.advance(20)
    soon = budget.steps("fusion")
    clock.advance(1000)
    assert budget.steps("fusion") == soon == int(0.99 * 60 - 20)
    assert said == ["fusion: 1 x 39 steps of 1.000 s; 0.3 of 1 min are gone"]


def test_every_kind_is_tried_at_first_and_again_when_its_turn_comes(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, step_s = list[str](), {"large": 1.0, "part": 1.0, "fusion": 1.0}

    def tried(scene: Scene, kind: str) -> tuple[float, float]:
        found.append(kind)
        return step_s[kind], 0.0

    monkeypatch.setattr(budget_module, "tried", tried)
    scene, plan = scene_with(finished, tmp_path, minutes=1.0, epochs_teachers=0)
    budget = Budget(scene, plan, lambda line: None, began=0.0, clock=ManualClock())
    budget.steps("large")
    assert budget.steps("teacher") == 0
    step_s["fusion"] = 2.0
    assert found == ["large", "part", "fusion"]
    assert budget.steps("fusion") == int(0.99 * 60 / 2)
    assert found == ["large", "part", "fusion", "fusion"]


@pytest.mark.usefixtures("a_second_a_step")
def test_a_run_that_was_ended_goes_on_with_the_steps_and_the_time_that_it_had(
    finished: Path, tmp_path: Path
) -> None:
    clock, said = ManualClock(), list[str]()
    clock.advance(15)
    parts = told(finished, tmp_path, clock, said).steps("part")
    later = ManualClock()
    again = told(finished, tmp_path, later, said)
    later.advance(5)
    assert again.steps("part") == parts
    assert again.steps("fusion") == int(0.99 * 60 - 15 - 5)


def test_without_minutes_all_is_as_asked_and_nothing_is_tried(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(budget_module, "tried")
    said = list[str]()
    budget = told(finished, tmp_path, ManualClock(), said, minutes=None)
    assert {kind: budget.steps(kind) for kind in KINDS} == {
        "large": 25,
        "teacher": 3,
        "part": 8,
        "fusion": 20,
    }
    assert not said


def test_what_is_there_takes_no_time(finished: Path) -> None:
    scene, _ = scene_with(finished, finished / "run")
    assert all(effort_of(scene, kind) == Effort(0, 0) for kind in KINDS)


def test_scoring_and_importance_count_beside_the_steps(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_module, "tried", lambda scene, kind: (1.0, 0.01))
    scene, _ = scene_with(finished, tmp_path)
    large, part = (effort_of(scene, kind) for kind in ("large", "part"))
    assert large == Effort(1, 25, pytest.approx(1 + 0.01 * 40 / 5), pytest.approx(0.01 * 40 * 2))
    assert part == Effort(2, 8, pytest.approx(1 + 0.01 * 20 / 2), pytest.approx(0.01 * 20 * 3 + 40 / 16))


@pytest.mark.parametrize("kind", KINDS)
def test_trying_a_training_leaves_nothing_behind(kind: str, finished: Path, tmp_path: Path) -> None:
    scene, _ = scene_with(finished, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert all(0 < seconds < 5 for seconds in tried(scene, kind))
    assert sorted(tmp_path.rglob("*")) == before


def test_minutes_lengthen_what_asks_for_little(finished: Path, tmp_path: Path) -> None:
    scene, plan = scene_with(finished, tmp_path, minutes=600.0, epochs_fusion=0.01)
    budget = Budget(scene, plan, lambda line: None, began=SystemClock().now())
    assert budget.steps("fusion") > 100


def test_a_run_whose_minutes_are_over_trains_each_model_for_one_step(finished: Path, tmp_path: Path) -> None:
    an_hour_ago = SystemClock().now() - 3600
    fit(options_for(finished, minutes=1.0), tmp_path / "run", began=an_hour_ago)
    found = read_plan(tmp_path / "run" / "plan.json")["found"]
    assert [found[STEPS + kind] for kind in KINDS] == [1, 1, 1, 1]
    assert (tmp_path / "run" / "summary.json").exists()
