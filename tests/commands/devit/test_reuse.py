from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands.devit.options import FitOptions, PlanFile
from commands.devit.reuse import LARGE, LENGTHS, PARTS, take_over
from devit.files import load_fusion, load_part
from main import app
from pipeline.errors import ConfigError
from tests.commands.devit.shapes import fit, options_for


def taken(finished: Path, folder: Path, **changes: object) -> tuple[list[str], PlanFile]:
    options = options_for(finished, **changes)
    plan = PlanFile(folder, options)
    plan.claim(resume=False)
    return take_over(finished / "run", folder, options, plan), plan


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"fusion": "se"}, {"large", "teacher-1", "teacher-2", "part-1", "part-2"}),
        ({"ensemble_losses": "pred"}, {"large", "teacher-1", "teacher-2", "part-1", "part-2"}),
        ({"losses": "pred"}, {"large", "teacher-1", "teacher-2"}),
        ({"importance": "all"}, {"large", "teacher-1", "teacher-2"}),
        ({"parts": 3}, {"large"}),
        ({"teachers": "large"}, {"large"}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_an_option_does_not_bear_on_is_taken_over(
    changes: dict[str, object], wanted: set[str], finished: Path, tmp_path: Path
) -> None:
    names, plan = taken(finished, tmp_path / "run", **changes)
    models = {Path(name).stem for name in names if name.endswith(".safetensors")}
    assert models == wanted
    assert sum("frames" in name for name in names) == 2
    assert all(
        (tmp_path / "run" / name).read_bytes() == (finished / "run" / name).read_bytes() for name in names
    )
    assert plan.knows("data")
    assert plan.knows("steps_part") == (not changes.keys() & set(LENGTHS))


def test_every_option_bears_on_something_but_those_of_the_fusion() -> None:
    fusion = {"epochs_fusion", "rate_fusion", "fusion", "ensemble_losses", "gamma", "drop", "drop_share"}
    assert set(PARTS) | fusion == set(asdict(FitOptions(data=".")))
    assert not set(PARTS) & fusion
    assert len(set(PARTS)) == len(PARTS)


def test_a_run_over_what_was_taken_is_the_run_that_made_all_itself(finished: Path, tmp_path: Path) -> None:
    _, plan = taken(finished, tmp_path / "run", fusion="mlp")
    assert plan.knows("steps_fusion")
    fit(options_for(finished, fusion="mlp"), tmp_path / "run", resume=True)
    fit(options_for(finished, fusion="mlp"), tmp_path / "own")
    runs = (tmp_path / "run", tmp_path / "own")
    one, other = (load_fusion(run / "fusion.safetensors").digest for run in runs)
    assert one == other
    first, second = (load_part(run / "part-2.safetensors").digest for run in runs)
    assert first == second


@pytest.mark.parametrize("changes", [{"epochs_large": 6}, {"seed": 1}], ids=str)
def test_another_large_model_is_refused(changes: dict[str, int], finished: Path, tmp_path: Path) -> None:
    (name,) = changes
    assert name in LARGE
    with pytest.raises(ConfigError, match=f"has another large model; it differs in {name}"):
        taken(finished, tmp_path / "run", **changes)


def test_a_run_that_has_nothing_yet_is_refused(finished: Path, tmp_path: Path) -> None:
    options = options_for(finished)
    empty = PlanFile(tmp_path / "empty", options)
    empty.claim(resume=False)
    empty.once("steps_large", 3)
    plan = PlanFile(tmp_path / "run", options)
    plan.claim(resume=False)
    with pytest.raises(ConfigError, match="empty: has no large model yet; go on with that run first"):
        take_over(tmp_path / "empty", tmp_path / "run", options, plan)


def test_the_verb_refuses_a_source_that_is_no_run(finished: Path, tmp_path: Path) -> None:
    given = ["devit", "fit", "--data", str(finished / "train"), "--output", str(tmp_path / "run")]
    result = CliRunner().invoke(app, [*given, "--from", str(tmp_path)])
    assert result.exit_code == 2
    assert "name the folder of a run" in result.stderr
