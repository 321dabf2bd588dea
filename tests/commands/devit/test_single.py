import json
import shutil
from pathlib import Path

import pytest

from commands.devit.options import PlanFile
from commands.devit.reading import read_pictures
from commands.devit.report import load_run
from commands.devit.single import evaluate, show_partition
from devit.evaluation import accuracy
from devit.partition import partition
from pipeline.errors import ConfigError
from tests.commands.devit.shapes import COLOURS, options_for, write_shapes
from tests.commands.devit.test_reading import SHOWN


def test_a_partition_is_shown_with_names_and_pictures(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show_partition(str(finished / "train"), 2, 5) == 0
    printed = capsys.readouterr().out
    for classes in partition(4, 2, 5):
        assert ", ".join(list(COLOURS)[one] for one in classes) in printed
    assert printed.count("40") == 2


def test_what_has_no_classes_cannot_be_partitioned(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ConfigError, match="has no classes; give one sub-folder a class"):
        show_partition(str(tmp_path), 2, 0)


def test_a_run_is_measured_again_with_its_own_pictures_or_with_others(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished / "run"
    assert evaluate(run, None, "cpu", as_json=True) == 0
    again = json.loads(capsys.readouterr().out)
    stored = json.loads((run / "summary.json").read_text())
    assert again["ensemble"]["by_parts"] == stored["ensemble"]["by_parts"]
    others = write_shapes(tmp_path / "others", 3, 9)
    assert evaluate(run, str(others), "cpu", as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == 12
    assert evaluate(run, None, "cpu", as_json=False) == 0
    assert "ensemble, 1 of 2 parts" in capsys.readouterr().out


def test_a_run_is_measured_where_its_own_data_are_not(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = options_for(finished, data="gone", test="gone too", limit=3)
    run = tmp_path / "run"
    shutil.copytree(finished / "run", run, ignore=shutil.ignore_patterns("steps"))
    (run / "plan.json").unlink()
    PlanFile(run, options).once("data", "abc")
    for colour in ("blue", "green"):
        shutil.rmtree(write_shapes(tmp_path / f"no {colour}", 10, 1) / colour)
    for name, wanted in (("no blue", [1, 2, 3]), ("no green", [0, 2, 3])):
        assert evaluate(run, str(tmp_path / name), "cpu", as_json=True) == 0
        summary = json.loads(capsys.readouterr().out)
        assert summary["pictures"] == 30
        found = load_run(run)[0]
        shown = read_pictures(tmp_path / name, SHOWN, tmp_path / "cache", tuple(COLOURS)).pictures
        assert sorted(set(shown.labels.tolist())) == wanted
        assert summary["large"]["top1"] == accuracy(found.model, found.info.architecture, shown)
    with pytest.raises(ConfigError, match="gone: no such file or folder of labelled pictures"):
        evaluate(run, None, "cpu", as_json=False)


def test_a_folder_without_a_run_or_of_another_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name the folder of a run"):
        evaluate(tmp_path, None, "cpu", as_json=False)
    (tmp_path / "plan.json").write_text('{"options": {"colour": 1}, "found": {}}')
    with pytest.raises(ConfigError, match=r"plan.json: is no plan of this program"):
        evaluate(tmp_path, None, "cpu", as_json=False)
