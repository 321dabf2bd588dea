import shutil
from pathlib import Path

import pytest
from rich.console import Console

from commands.devit.fit import scene_of
from commands.devit.options import PlanFile
from commands.devit.report import load_run, summary_of, summary_table
from devit.backbones import build
from devit.ensemble import Ensemble
from devit.evaluation import accuracy, parameters
from devit.files import load_part, save_part
from pipeline.errors import ModelError
from tests.commands.devit.shapes import options_for


def test_a_summary_measures_every_model_and_every_choice_of_parts(finished: Path) -> None:
    run = finished / "run"
    plan = PlanFile(run, options_for(finished))
    plan.claim(resume=True)
    test = scene_of(options_for(finished), plan, run, "cpu").test
    summary = summary_of(run, test, runs=3)
    large, parts, fusion = load_run(run)
    ensemble = Ensemble([part.model for part in parts], fusion.fusion)
    whole = summary["ensemble"]
    assert summary["pictures"] == 40
    assert summary["large"]["top1"] == accuracy(large.model, large.info.architecture, test)
    assert whole["top1"] == accuracy(ensemble, large.info.architecture, test)
    assert set(whole["by_parts"]) == {"1", "2", "1,2"}
    assert whole["by_parts"]["1,2"] == whole["top1"] == whole["by_count"]["2"]
    assert whole["by_count"]["1"] == pytest.approx((whole["by_parts"]["1"] + whole["by_parts"]["2"]) / 2)
    assert whole["parameters"] == parameters(ensemble)
    assert whole["bytes"] == sum(
        (run / f"{name}.safetensors").stat().st_size for name in ("part-1", "part-2", "fusion")
    )
    slowest = max(part["latency_ms"] for part in summary["parts"])
    assert whole["latency_ms"] == slowest + summary["fusion"]["latency_ms"]
    for saved, row in zip(parts, summary["parts"], strict=True):
        own = test.of_classes(saved.info.classes)
        assert row["classes"] == list(saved.info.classes)
        assert row["top1"] == accuracy(saved.model, saved.info.architecture, own)


def test_the_table_shows_large_against_ensemble_and_what_is_missing() -> None:
    row = {"top1": 0.5, "parameters": 1_500_000, "latency_ms": 2.0, "bytes": 3_000_000}
    summary = {
        "large": row | {"top1": 0.875},
        "ensemble": row | {"by_count": {"1": 0.25, "2": 0.5}},
        "parts": [row | {"classes": [0, 1]}, row | {"classes": [2]}],
        "fusion": {key: value for key, value in row.items() if key != "top1"},
    }
    console = Console(width=120, record=True)
    console.print(summary_table(summary, "[title]"))
    text = console.export_text()
    for said in ("87.50%", "50.00%", "1.500 M", "2.00 ms", "3.00 MB", "part 2, its 1 classes", "[title]"):
        assert said in text
    assert "1 of 2 parts" in text
    assert "25.00%" in text
    assert "2 of 2 parts" not in text


def test_a_run_that_is_not_done_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"large.safetensors: no such file"):
        load_run(tmp_path)


def test_a_large_model_of_another_run_is_refused(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished / "run", run)
    large = load_part(run / "large.safetensors")
    digest = save_part(run / "large.safetensors", build(large.info.architecture, seed=9), large.info)
    said = f"large.safetensors: is {digest[:8]}, not {large.digest[:8]}, from which fusion.safetensors learnt"
    with pytest.raises(ModelError, match=said):
        load_run(run)
