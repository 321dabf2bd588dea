import json

import pytest
import yaml
from typer.testing import CliRunner

from commands import evaluate
from commands.evaluation.timing import forward_joules, forward_ms
from commands.profiling.rounds import Rounds
from main import app
from models import create_model
from pipeline.energy.meter import EnergyMeter
from scheduling.levels import parse_levels
from sources.motions import motion_sequence
from sources.writer import write_video
from tests.commands.link import cloud_here
from tests.commands.processes import only_line
from tests.pipeline.energy.machine import Busy

DATA = ("--threads", 1, "--data", "pattern:motions?seed=6&clips=8")
SMALL = (*DATA, "--prunings", "uniform:6", "--codecs", "jpeg:60,int8+zstd")


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Times are measured in `benchmarks/`, not in tests."""
    rounds = Rounds(least=1, most=1, seconds=0)
    monkeypatch.setattr(evaluate, "forward_ms", lambda *args, **options: forward_ms(*args, rounds, **options))


def run(*arguments):
    return CliRunner(env={"COLUMNS": "150"}).invoke(app, ["evaluate", *map(str, arguments)])


def test_one_command_measures_and_writes_what_the_scheduler_reads(tmp_path):
    levels, html, output = tmp_path / "levels.yaml", tmp_path / "a" / "front.html", tmp_path / "answers.jsonl"
    result = run(*SMALL, "--levels", levels, "--html", html, "--output", output)
    assert result.exit_code == 0, result.output
    assert "8 examples of" in result.stdout
    for part in ("none", "uniform:6", "jpeg:60", "int8+zstd", "tokens after layer 3, 6, 9", "100.0 ±16.2"):
        assert part in result.stdout, part
    found = parse_levels(yaml.safe_load(levels.read_text()), "levels", "motions", 12, 129)
    assert {(str(level.pruning), level.codec) for level in found} == {
        (pruning, codec) for pruning in ("none", "uniform:6") for codec in (None, "jpeg:60", "int8+zstd")
    }
    assert "plotly" in html.read_text()
    assert len(output.read_text().splitlines()) == 9


def test_joules_are_in_the_table_where_the_machine_shows_them(monkeypatch):
    monkeypatch.setattr(evaluate, "machine_meter", lambda clock: EnergyMeter([Busy()]))
    monkeypatch.setattr(evaluate, "forward_joules", lambda *args: forward_joules(*args, seconds=0))
    result = run(*DATA, "--prunings", "uniform:6", "--codecs", "none")
    assert result.exit_code == 0, result.output
    assert [line.split()[-1] for line in result.stdout.splitlines() if "100.0" in line] == ["1.000"] * 2


def test_an_evaluation_that_was_killed_goes_on_to_the_same_end(tmp_path):
    whole, broken = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    assert run(*SMALL, "--batch", 4, "--output", whole).exit_code == 0
    lines = whole.read_bytes().splitlines(keepends=True)
    broken.write_bytes(b"".join(lines[:5]) + lines[5][:40])
    assert run(*SMALL, "--batch", 4, "--output", broken, "--resume").exit_code == 0
    assert broken.read_bytes() == whole.read_bytes()
    again = run(*SMALL, "--output", broken)
    assert again.exit_code == 2
    assert "--resume" in only_line(again.stderr)


def test_what_cannot_be_read_is_counted_named_and_exit_status_1(tmp_path):
    label, frames = motion_sequence(3, 0, 40, 64)
    (tmp_path / label).mkdir()
    write_video(tmp_path / label / "good.mp4", frames, 25)
    (tmp_path / label / "bad.mp4").write_bytes(b"no video")
    result = run(
        "--threads", 1, "--data", tmp_path, "--protocol", "2x1", "--codecs", "none", "--prunings", "uniform:6"
    )
    assert result.exit_code == 1
    assert "bad.mp4" in result.stderr
    assert "1 of 2 examples could not be evaluated" in result.stderr
    assert "1 examples" in result.stdout
    assert "With codecs" not in result.stdout


def best_classes(line):
    answer = json.loads(line)
    return answer["name"], [ids[0] for ids in answer["best"]]


def test_through_a_cloud_it_says_the_same(model, tmp_path):
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    assert run(*SMALL, "--output", here).exit_code == 0
    with cloud_here(model) as url:
        result = run(*SMALL, "--output", there, "--cloud", url)
    assert result.exit_code == 0, result.output
    best = [sorted(map(best_classes, path.read_text().splitlines()[1:])) for path in (here, there)]
    assert best[0] == best[1]
    assert json.loads(there.read_text().splitlines()[0])["where"] == url


def test_in_another_number_format_agreement_is_with_float32_here_and_through_a_cloud(tmp_path):
    found = []
    ways = ("--threads", 1, "--data", "pattern:motions?clips=6", "--prunings", "none", "--codecs", "none")
    for dtype in ("float32", "int8"):
        path = tmp_path / f"{dtype}.jsonl"
        assert run(*ways, "--dtype", dtype, "--output", path).exit_code == 0
        found.append(sorted(references(path)))
    with cloud_here(create_model("motions", dtype="int8")) as url:
        path = tmp_path / "cloud.jsonl"
        assert run(*ways, "--dtype", "int8", "--output", path, "--cloud", url).exit_code == 0
        found.append(sorted(references(path)))
    assert found[0] == found[1] == found[2]


def references(path):
    answers = map(json.loads, path.read_text().splitlines()[1:])
    return [(answer["name"], answer["reference"]) for answer in answers]


def test_what_failed_is_tried_again_by_a_resume(tmp_path):
    label, frames = motion_sequence(3, 0, 40, 64)
    folder, output = tmp_path / "data [/b]", tmp_path / "answers.jsonl"
    (folder / label).mkdir(parents=True)
    (folder / label / "a.mp4").write_bytes(b"no video")
    ways = ("--threads", 1, "--data", folder, "--codecs", "none", "--prunings", "none", "--protocol", "1x1")
    first = run(*ways, "--output", output)
    assert first.exit_code == 1
    assert "a.mp4" in first.stderr
    write_video(folder / label / "a.mp4", frames, 25)
    again = run(*ways, "--output", output, "--resume")
    assert again.exit_code == 0, again.stderr
    assert "1 examples of" in again.stdout


WRONG = {
    "data that are missing": (["--data", "missing"], "missing"),
    "a pattern that is none": (["--data", "pattern:waves"], "only motions"),
    "a pruning that is none": (["--prunings", "top:3"], "top:3"),
    "a codec that is none": (["--codecs", "gzip"], "gzip"),
    "a split that is none": (["--splits", "3,x"], "3,6,9"),
    "a split beyond the model": (["--splits", "13"], "layer 1 to 12"),
    "a protocol that is none": (["--protocol", "ten"], "10x1"),
    "levels that cannot be written": (["--levels", "."], "is a folder"),
    "a model without weights": (["--model", "vit_tiny_patch16_224"], "--weights"),
    "two results in one file": (["--output", "x", "--levels", "x"], "a file of its own"),
    "a resume of nothing": (["--resume"], "--output"),
}


@pytest.mark.parametrize(("arguments", "named"), WRONG.values(), ids=WRONG.keys())
def test_wrong_input_is_one_line_and_status_2(arguments, named):
    result = run(*SMALL, *arguments)
    assert result.exit_code == 2, result.output
    assert named in only_line(result.stderr)
    assert result.stdout == ""
