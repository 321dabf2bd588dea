import json
import math
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from commands.devit.options import FitOptions, PlanFile, flag, read_options, read_plan
from pipeline.errors import ConfigError


def options(tmp_path: Path, **changes: object) -> FitOptions:
    return FitOptions(**{"data": str(tmp_path)} | changes)  # type: ignore[arg-type]


def test_features_that_are_not_named_weigh_nothing(tmp_path: Path) -> None:
    assert options(tmp_path).alphas == (1, 1, 1)
    assert options(tmp_path, features="v,q").alphas == (1, 0, 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 2**64}, r"--seed must be 0 to 18446744073709551615, not 18446744073709551616"),
        ({"seed": -1}, "--seed must be 0 to"),
        ({"epochs_parts": math.inf}, "--epochs-parts must be a number, of 1e.09 at most, not inf"),
        ({"minutes": 1e300}, "--minutes must be a number"),
        ({"features": "q,x"}, "--features q,x: choose among q, k, v"),
        ({"drop": 1.5}, r"--drop must be 0 to 1, not 1\.5"),
        ({"drop_share": -1.0}, "--drop-share must be 0 to 1, not -1"),
    ],
)
def test_what_no_run_can_have_is_refused(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        options(tmp_path, **changes)


@pytest.mark.parametrize("name", [one.name for one in fields(FitOptions) if "float" in str(one.type)])
def test_no_option_may_be_other_than_a_number(name: str, tmp_path: Path) -> None:
    for value in (math.inf, -math.inf, math.nan):
        with pytest.raises(ConfigError, match=f"{flag(name)} must be a number"):
            options(tmp_path, **{name: value})


@pytest.mark.parametrize("name", ["data", "test"])
def test_data_that_is_not_there_is_refused_where_it_is_needed(name: str, tmp_path: Path) -> None:
    options(tmp_path, test=str(tmp_path)).require_data()
    with pytest.raises(ConfigError, match="nowhere: no such file or folder"):
        options(tmp_path, **{name: "nowhere"}).require_data()


def test_options_are_read_from_a_plan_as_they_were_written(tmp_path: Path) -> None:
    written = options(tmp_path, parts=3, limit=None, sigma=20, minutes=2.5, seed=2**64 - 1)
    PlanFile(tmp_path, written).once("data", "abc")
    assert read_options(tmp_path / "plan.json") == written


@pytest.mark.parametrize(
    ("name", "value"),
    [("features", None), ("parts", "3"), ("parts", True), ("sigma", "33"), ("minutes", []), ("colour", 1)],
)
def test_options_of_another_kind_in_a_plan_are_refused_in_one_line(
    name: str, value: object, tmp_path: Path
) -> None:
    stored = asdict(options(tmp_path)) | {name: value}
    (tmp_path / "plan.json").write_text(json.dumps({"options": stored, "found": {}}))
    with pytest.raises(ConfigError, match=f"is no plan of this program, by its '{name}'; name another"):
        read_options(tmp_path / "plan.json")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("steps_large", wrong) for wrong in ("x", -1, 1.5, True, None)),
        *(("spent_s", wrong) for wrong in ("x", -1.0, math.nan, math.inf, None)),
        *((wrong, 3) for wrong in ("data", "test", "digest_large")),
    ],
)
def test_what_a_plan_cannot_have_found_out_is_refused(name: str, value: object, tmp_path: Path) -> None:
    text = json.dumps({"options": asdict(options(tmp_path)), "found": {name: value}})
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ConfigError, match=rf"plan.json: {name} cannot be .*; name another folder"):
        PlanFile(tmp_path, options(tmp_path)).claim(resume=True)


def test_what_was_found_out_first_stays(tmp_path: Path) -> None:
    run = tmp_path / "new" / "run"
    plan = PlanFile(run, options(tmp_path))
    plan.claim(resume=False)
    assert not plan.knows("steps")
    assert plan.once("steps", {"large": 3}) == {"large": 3}
    again = PlanFile(run, options(tmp_path))
    again.claim(resume=True)
    assert again.knows("steps")
    assert again.once("steps", {"large": 9}) == {"large": 3}
    assert [path.name for path in run.iterdir()] == ["plan.json"]


def test_what_is_renewed_is_remembered_in_place_of_what_was(tmp_path: Path) -> None:
    plan = PlanFile(tmp_path, options(tmp_path))
    assert plan.get("spent_s", 0.5) == 0.5
    for value in (3, 4):
        plan.renew("spent_s", value)
    again = PlanFile(tmp_path, options(tmp_path))
    again.claim(resume=True)
    assert again.get("spent_s", 0.5) == 4


def test_a_run_that_found_nothing_out_can_be_begun_with_other_options(tmp_path: Path) -> None:
    PlanFile(tmp_path / "run", options(tmp_path)).claim(resume=False)
    PlanFile(tmp_path / "run", options(tmp_path, parts=3)).claim(resume=False)


def test_what_must_be_the_same_is_noticed_when_it_is_not(tmp_path: Path) -> None:
    plan = PlanFile(tmp_path, options(tmp_path))
    plan.same("data", "abc")
    plan.same("data", "abc")
    with pytest.raises(ConfigError, match=r"plan.json: data has changed since the run began"):
        plan.same("data", "abd")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"options": {}, "found": 3}', "[" * 100_000, "x" * (1 << 21)]
)
def test_what_is_no_plan_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ConfigError, match=r"plan.json: is no plan of devit fit; name another folder"):
        read_plan(tmp_path / "plan.json")


def test_a_plan_that_is_not_there_and_a_folder_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read .*; name the folder of a run"):
        read_plan(tmp_path / "plan.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file: cannot become the folder of a run"):
        PlanFile(tmp_path / "file", options(tmp_path)).claim(resume=False)


def test_a_plan_says_what_was_asked_for(tmp_path: Path) -> None:
    plan = PlanFile(tmp_path, options(tmp_path, parts=3))
    plan.once("steps", {})
    assert json.loads((tmp_path / "plan.json").read_text())["options"]["parts"] == 3
