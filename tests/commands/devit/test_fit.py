"""The whole of `devit fit`: it learns, says what came of it, and goes on after any end to the same result."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commands.devit import fit as fit_module
from commands.devit.course import read_course
from commands.devit.options import PlanFile
from commands.devit.reading import Labelled, read_pictures
from devit.files import load_fusion, load_part
from devit.partition import partition
from pipeline.errors import ConfigError
from tests.commands.devit.shapes import fit, options_for

TRAININGS = ("large", "teacher-1", "part-1", "teacher-2", "part-2", "fusion")


def digests(run: Path) -> list[str]:
    paths = [run / "large.safetensors", *sorted(run.glob("part-*.safetensors"))]
    parts = [load_part(path).digest for path in paths]
    return [*parts, load_fusion(run / "fusion.safetensors", parts[1:]).digest]


def test_a_run_learns_better_than_chance(finished: Path) -> None:
    summary = json.loads((finished / "run" / "summary.json").read_text())
    assert summary["large"]["top1"] > 0.6
    assert summary["ensemble"]["top1"] > 0.6
    assert all(part["top1"] > 0.7 for part in summary["parts"])


def test_parts_and_fusion_say_what_they_are(finished: Path) -> None:
    run = finished / "run"
    large = load_part(run / "large.safetensors")
    parts = [load_part(run / f"part-{part}.safetensors") for part in (1, 2)]
    fusion = load_fusion(run / "fusion.safetensors", [part.digest for part in parts])
    assert large.info.classes == (0, 1, 2, 3)
    assert tuple(part.info.classes for part in parts) == partition(4, 2, 0)
    teachers = [load_part(run / "steps" / f"teacher-{part}.safetensors") for part in (1, 2)]
    assert [part.info.teacher for part in parts] == [teacher.digest for teacher in teachers]
    assert all(teacher.info.teacher == large.digest for teacher in teachers)
    students = [load_part(run / "steps" / f"part-{part}.safetensors") for part in (1, 2)]
    assert all(one.digest != student.digest for one, student in zip(parts, students, strict=True))
    assert fusion.info.teacher == large.digest
    assert fusion.info.labels == ("blue", "green", "grey", "red")
    summary = json.loads((run / "summary.json").read_text())
    assert fusion.info.accuracy == summary["ensemble"]["top1"]
    assert [part.info.accuracy for part in parts] == [part["top1"] for part in summary["parts"]]
    architecture = parts[0].info.architecture
    assert (architecture.depth, architecture.heads, architecture.mlp) == (1, 1, 32)


def test_every_training_has_its_course_and_leaves_no_checkpoint(finished: Path) -> None:
    run = finished / "run"
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert tuple(dict.fromkeys(line["training"] for line in lines)) == TRAININGS
    assert not list((run / "steps").glob("*.checkpoint"))
    assert "held out" in (run / "curves.html").read_text()


@contextmanager
def ending(name: str, total: int, where: str) -> Iterator[Callable[..., None]]:
    def done(step: int, of: int | None = None) -> None:
        if name == where and step == (total + 1) // 2:
            raise KeyboardInterrupt

    yield done


def test_a_run_that_was_ended_in_every_training_comes_to_the_same_bits(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = options_for(finished)
    for name in TRAININGS:
        with monkeypatch.context() as patch:
            patch.setattr(fit_module, "watching", lambda own, total, where=name: ending(own, total, where))
            with pytest.raises(KeyboardInterrupt):
                fit(options, tmp_path / "run", resume=True, checkpoint_s=0)
        assert (tmp_path / "run" / "steps" / f"{name}.checkpoint").exists()
    fit(options, tmp_path / "run", resume=True, checkpoint_s=0)
    assert digests(tmp_path / "run") == digests(finished / "run")
    epochs = [
        [replace(epoch, seconds=0.0) for epoch in read_course(run / "log.jsonl")]
        for run in (tmp_path / "run", finished / "run")
    ]
    assert epochs[0] == epochs[1]


def test_a_fusion_that_was_not_written_after_its_parts_is_made_again(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "steps").mkdir()
    for path in (finished / "run").rglob("*.*"):
        if path.is_file() and path.name != "fusion.safetensors":
            (run / path.relative_to(finished / "run")).write_bytes(path.read_bytes())
    fit(options_for(finished), run, resume=True)
    assert digests(run) == digests(finished / "run")


def test_a_run_goes_on_only_with_its_own_options_and_data(finished: Path) -> None:
    run = finished / "run"
    with pytest.raises(ConfigError, match=r"run: holds a run; --resume goes on, or name another folder"):
        fit(options_for(finished), run)
    with pytest.raises(ConfigError, match=r"was begun with --parts 2, not 3"):
        fit(options_for(finished, parts=3), run, resume=True)
    with pytest.raises(ConfigError, match=r"was begun with --partition True, not False"):
        fit(options_for(finished, partition=False), run, resume=True)


def test_data_that_changed_are_noticed(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("epochs_large", "epochs_teachers", "epochs_parts", "epochs_fusion"), 0)
    options = options_for(tmp_path, **nothing)
    fit(options, tmp_path / "run")
    fit(options, tmp_path / "run", resume=True)
    for name in ("test", "train"):
        changed = tmp_path / name / "red" / "0.png"
        changed.write_bytes((tmp_path / name / "blue" / "0.png").read_bytes())
        said = "data" if name == "train" else name
        with pytest.raises(ConfigError, match=f"{said} has changed since the run began; name another folder"):
            fit(options, tmp_path / "run", resume=True)


def test_pictures_are_read_as_those_that_the_run_remembers(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, plan = [], PlanFile(finished / "run", options_for(finished))
    plan.claim(resume=True)

    def reading(*given: Any, known: str | None) -> Labelled:
        told.append(known)
        return read_pictures(*given, known=known)

    monkeypatch.setattr(fit_module, "read_pictures", reading)
    fit_module.scene_of(options_for(finished), plan, finished / "run", "cpu")
    assert told == [plan.get("data", None), plan.get("test", None)]
    assert None not in told


FEW = dict.fromkeys(("epochs_large", "epochs_teachers", "epochs_parts", "epochs_fusion"), 1)
ABLATIONS = (
    {"drop": 0.0},
    {"beta": 3.0},
    {"gamma": 3.0},
    {"importance": "all"},
    {"importance": "random"},
    {"losses": "labels"},
    {"losses": "feat", "features": "q,v"},
    {"fusion": "attention"},
    {"ensemble_losses": "token"},
    {"partition": False},
    {"teachers": "large"},
    {"parts": 3, "test": None},
    {"model": "deit:2x2x64/8", "augment": "rand"},
    {"model": "cct:2x2x64/4", "augment": "none"},
)


@pytest.fixture(scope="module")
def plain(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Parts and fusion of a run without switches."""
    run = tmp_path_factory.mktemp("plain")
    fit(options_for(finished, **FEW), run)
    return digests(run)[1:]


@pytest.mark.parametrize("changes", ABLATIONS, ids=str)
def test_every_switch_gives_parts_of_its_own(
    changes: dict[str, object], finished: Path, plain: list[str], tmp_path: Path
) -> None:
    fit(options_for(finished, **FEW | changes), tmp_path / "run")
    assert digests(tmp_path / "run")[1:] != plain
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert len(summary["parts"]) == changes.get("parts", 2)
    parts = [load_part(path) for path in sorted((tmp_path / "run").glob("part-*.safetensors"))]
    assert [part.info.accuracy for part in parts] == [part["top1"] for part in summary["parts"]]
    whole = {"classes": [0, 1, 2, 3]}.items() <= summary["parts"][0].items()
    assert whole == (changes.get("partition") is False)
    teacher = load_part(tmp_path / "run" / "steps" / "teacher-1.safetensors")
    large = load_part(tmp_path / "run" / "large.safetensors")
    untouched = bool((teacher.model.blocks[0].attn.qkv.weight == large.model.blocks[0].attn.qkv.weight).all())
    assert untouched == (changes.get("teachers") == "large")


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="--device tpu: not here; choose cpu, or cuda"):
        fit_module.check_device("tpu")
