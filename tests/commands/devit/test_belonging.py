"""Files of other runs in a run's folder are refused, whatever they are, before anything is made of them."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from commands.devit.belonging import claim
from commands.devit.options import PlanFile
from commands.devit.trainings import Trainings
from devit.backbones import build
from devit.files import Part, load_fusion, load_part, save_fusion, save_part
from pipeline.errors import ConfigError
from tests.commands.devit.shapes import options_for
from tests.commands.devit.test_scene import scene

Change = Callable[[Path], str]


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """The finished run with a plan that remembers no digests, as runs before there were any."""
    shutil.copytree(finished / "run", tmp_path / "run", ignore=shutil.ignore_patterns("frames-*"))
    (tmp_path / "run" / "plan.json").unlink()
    return tmp_path / "run"


def go_on(finished: Path, run: Path) -> PlanFile:
    """Everything that `devit fit --resume` does with the files of a run; nothing may be trained."""
    plan = PlanFile(run, options_for(finished))
    plan.claim(resume=True)
    trainings = Trainings(replace(scene(finished), folder=run), {}.__getitem__, plan)
    large = trainings.large()
    students = [trainings.student(part, large, trainings.teacher(part, large)) for part in range(2)]
    trainings.fusion(large, students)
    return plan


def other_weights(name: str) -> Change:
    """The file says of itself what it did, but for its digest."""

    def change(run: Path) -> str:
        part = load_part(run / name)
        return save_part(run / name, build(part.info.architecture, seed=9), part.info)

    return change


def other_info(name: str, **changes: object) -> Change:
    def change(run: Path) -> str:
        part = load_part(run / name)
        return save_part(run / name, part.model, replace(part.info, **changes))  # type: ignore[arg-type]

    return change


def other_size(name: str, **changes: int) -> Change:
    def change(run: Path) -> str:
        info = load_part(run / name).info
        info = replace(info, architecture=replace(info.architecture, **changes))
        return save_part(run / name, build(info.architecture, seed=0), info)

    return change


def other_fusion(**changes: object) -> Change:
    def change(run: Path) -> str:
        saved = load_fusion(run / "fusion.safetensors")
        return save_fusion(run / "fusion.safetensors", saved.fusion, replace(saved.info, **changes))  # type: ignore[arg-type]

    return change


LARGE, TEACHER, STUDENT, FUSION = (
    *("large.safetensors", "steps/teacher-1.safetensors", "steps/part-2.safetensors"),
    "fusion.safetensors",
)
FOREIGN = [
    (other_info(LARGE, seed=1), LARGE, "seed 1 where this one has 0"),
    (other_info(LARGE, data="else"), LARGE, "data else where this one has train"),
    (other_info(LARGE, classes=(3, 2, 1, 0)), LARGE, r"classes \(3, 2, 1, 0\) where"),
    (other_size(LARGE, depth=3), LARGE, "depth 3 where this one has 2"),
    (other_size(LARGE, heads=1), LARGE, "heads 1 where this one has 2"),
    (other_weights(LARGE), TEACHER, "teacher [0-9a-f]{8} where this one has [0-9a-f]{8}"),
    (other_info(TEACHER, classes=(0, 9)), TEACHER, r"classes \(0, 9\) where"),
    (other_weights("steps/teacher-2.safetensors"), STUDENT, "teacher"),
    (other_info(STUDENT, seed=1), STUDENT, "seed 1 where"),
    (other_size(STUDENT, mlp=16), STUDENT, "mlp 16 where this one has 32"),
    (other_fusion(teacher="0" * 64), FUSION, "teacher 00000000 where"),
    (other_fusion(labels=("a", "b", "c", "d")), FUSION, r"labels \('a', 'b', 'c', 'd'\) where"),
    (other_fusion(seed=1), FUSION, "seed 1 where"),
]


@pytest.mark.parametrize(("change", "name", "said"), FOREIGN, ids=lambda value: str(value)[:24])
def test_what_is_of_another_run_is_refused_by_what_it_says_of_itself(
    change: Change, name: str, said: str, finished: Path, copy: Path
) -> None:
    change(copy)
    with pytest.raises(
        ConfigError, match=f"{name}: is of another run, with {said}.*; remove it, or name"
    ) as it:
        go_on(finished, copy)
    assert "\n" not in str(it.value)


@pytest.mark.parametrize("name", [LARGE, TEACHER, STUDENT])
def test_what_says_the_same_of_itself_is_refused_by_the_digest_that_the_plan_remembers(
    name: str, finished: Path, copy: Path
) -> None:
    go_on(finished, copy)
    before = load_part(copy / name).digest
    found = other_weights(name)(copy)
    with pytest.raises(ConfigError, match=f"{name}: .* digest {found[:8]} where this one has {before[:8]};"):
        go_on(finished, copy)


def test_a_run_whose_plan_remembers_nothing_goes_on_and_remembers_from_then_on(
    finished: Path, copy: Path
) -> None:
    plan = go_on(finished, copy)
    assert plan.get("digest_large", "") == load_part(copy / LARGE).digest
    assert plan.get("digest_part-2", "") == load_part(copy / STUDENT).digest
    assert plan.get("digest_fusion", "") == load_fusion(copy / FUSION).digest


def test_what_was_removed_and_made_anew_may_be_another(finished: Path, copy: Path) -> None:
    plan, shown = go_on(finished, copy), replace(scene(finished), folder=copy)
    anew = replace(load_part(copy / LARGE), digest="0" * 64)
    claim(copy / LARGE, anew, shown, plan, {}, found=False)
    assert plan.get("digest_large", "") == "0" * 64


def test_what_is_refused_is_not_remembered(finished: Path, tmp_path: Path) -> None:
    plan, part = PlanFile(tmp_path, options_for(finished)), load_part(finished / "run" / LARGE)
    foreign = Part(torch.nn.Identity(), replace(part.info, seed=5), part.digest)
    with pytest.raises(ConfigError, match="seed 5"):
        claim(tmp_path / LARGE, foreign, scene(finished), plan, {}, found=True)
    assert not plan.knows("digest_large")
