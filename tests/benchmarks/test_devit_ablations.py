"""The tables of the ablations, and that what is done is not done again."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from benchmarks import devit_ablations
from benchmarks.devit_ablations import BASE, STUDIES, arguments, parts_top1, runs, table
from devit.architecture import Architecture
from devit.backbones import build
from devit.files import save_part
from devit.records import PartInfo
from main import app

LOSSES, ENSEMBLE, FUSIONS, IMPORTANCE, DEVICES = STUDIES
TINY = Architecture("vit", 8, 1, 8, depth=1, heads=1, mlp=8, num_classes=1)


def finish(folder: Path, name: str, top1: float, parts: tuple[float, ...] = ()) -> None:
    """The run `name`, as far as tables read it."""
    (folder / name / "steps").mkdir(parents=True)
    found = {"ensemble": {"top1": top1, "latency_ms": 5.0}, "large": {"top1": 0.875, "latency_ms": 10.0}}
    (folder / name / "summary.json").write_text(json.dumps(found | {"fusion": {"latency_ms": 0.123}}))
    for index, accuracy in enumerate(parts, 1):
        for kind, share in (("part", accuracy), ("teacher", accuracy + 0.1)):
            info = PartInfo(TINY, (0,), "0" * 64, "data", share, 0)
            save_part(folder / name / "steps" / f"{kind}-{index}.safetensors", build(TINY, seed=0), info)


def test_a_table_stands_beside_the_papers_with_both_differences_to_the_first_row(tmp_path: Path) -> None:
    finish(tmp_path, "ensemble-labels", 0.8)
    finish(tmp_path, BASE, 0.8125)
    assert table(ENSEMBLE, tmp_path).splitlines() == [
        "| losses | options | ensemble top-1, % | to the first | paper, % | to the first |",
        "| --- | --- | --- | --- | --- | --- |",
        "| (the large model) |  | 87.50 | +7.50 | 88.77 | +3.01 |",
        "| labels | `--ensemble-losses labels` | 80.00 | +0.00 | 85.76 | +0.00 |",
        "| both | those of all | 81.25 | +1.25 | 87.98 | +2.22 |",
    ]


def test_further_columns_follow_and_where_the_paper_has_no_figure_is_nothing(tmp_path: Path) -> None:
    finish(tmp_path, "parts-2", 0.5)
    finish(tmp_path, "fusion-se", 0.5)
    header, _, row = table(DEVICES, tmp_path).splitlines()
    assert header == (
        "| parts | options | ensemble top-1, % | to the first | large, ms | ensemble, ms "
        "| paper, % | to the first |"
    )
    assert row == "| 2 | `--parts 2` | 50.00 | +0.00 | 10.00 | 5.00 |  |  |"
    header, _, row = table(FUSIONS, tmp_path).splitlines()
    assert header.endswith("| fusion, ms | paper, % | to the first | paper, ms |")
    assert row == "| squeeze-excitation | `--fusion se` | 50.00 | +0.00 | 0.12 | 88.05 | +0.00 | 6.17 |"


def test_parts_are_read_as_they_were_before_the_ensembles_training(tmp_path: Path) -> None:
    finish(tmp_path, BASE, 0.9, parts=(0.5, 0.7))
    assert parts_top1(tmp_path / BASE) == pytest.approx(60)
    found = table(LOSSES, tmp_path)
    assert "| (their teachers) |  | 70.00 | +10.00 | 92.92 | +2.77 |" in found
    assert "| both | those of all | 60.00 | +0.00 | 90.15 | +0.00 |" in found


def test_no_run_is_done_gives_a_table_without_rows(tmp_path: Path) -> None:
    assert all(len(table(study, tmp_path).splitlines()) == 2 for study in STUDIES)


def test_every_table_has_the_base_once_and_every_other_run_differs_from_it() -> None:
    for study in STUDIES:
        assert [row.run for row in study.rows].count(BASE) == 1
    found = runs()
    assert next(iter(found)) == BASE
    assert len(set(found.values())) == len(found) == 1 + sum(len(study.rows) - 1 for study in STUDIES)


def test_a_run_begins_from_the_base_goes_on_where_it_was_ended_and_is_done_once(tmp_path: Path) -> None:
    begun = arguments(tmp_path, "parts-2", ("--seed", "0"), ("--parts", "2"))
    run, base = str(tmp_path / "parts-2"), str(tmp_path / BASE)
    assert begun == ["devit", "fit", "--output", run, "--seed", "0", "--parts", "2", "--from", base]
    assert arguments(tmp_path, BASE, (), ()) == ["devit", "fit", "--output", base]
    (tmp_path / "parts-2").mkdir()
    (tmp_path / "parts-2" / "plan.json").write_text("{}")
    assert arguments(tmp_path, "parts-2", ("--seed", "0"), ("--parts", "2")) == [*begun, "--resume"]
    (tmp_path / "parts-2" / "summary.json").write_text("{}")
    assert arguments(tmp_path, "parts-2", (), ()) is None


def test_only_what_is_missing_is_run_and_devit_fit_knows_all_of_its_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], check: bool) -> None:
        assert check
        asked.append(command[2:])
        finish(tmp_path, Path(command[5]).name, 0.5, parts=(0.5,))

    monkeypatch.setattr(devit_ablations, "subprocess", SimpleNamespace(run=run))
    finish(tmp_path, "fusion-mlp", 0.75)
    places = tmp_path / "large.safetensors", str(tmp_path), str(tmp_path), tmp_path
    devit_ablations.main(*places)
    assert len(asked) == len(runs()) - 1
    assert not any("mlp" in command for command in asked)
    printed = capsys.readouterr().out
    assert all(f"## {study.title}\n\n| {study.varied} | options |" in printed for study in STUDIES)
    assert all(study.said in printed for study in STUDIES)
    assert "| MLP | `--fusion mlp` | 75.00 | +25.00 | 0.12 | 88.01 | +0.92 | 6.16 |" in printed
    devit_ablations.main(*places)
    assert len(asked) == len(runs()) - 1
    assert all(CliRunner().invoke(app, [*command, "--help"]).exit_code == 0 for command in asked)
