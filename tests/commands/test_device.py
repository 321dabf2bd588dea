import json

import pytest
from typer.testing import CliRunner

from commands.demo import _sample_frames as sample_frames
from main import app
from sources.writer import write_video
from tests.commands.processes import only_line


def invoke(*arguments):
    return CliRunner().invoke(app, ["device", "--split", "13", *map(str, arguments)])


def test_live_sources_run_beside_each_other_to_stdout(tmp_path):
    video = tmp_path / "door.mp4"
    frames = sample_frames(0)
    write_video(video, [next(frames) for _ in range(32)], 100)
    result = invoke(
        "--source", "pattern:motions?fps=200&clips=3", "--source", video, "--output", "-", "--strict"
    )
    assert result.exit_code == 0, result.output


def test_records_go_to_a_file_and_to_the_terminal(tmp_path):
    output = tmp_path / "out.jsonl"
    result = invoke(
        "--source", "pattern:motions?fps=100&clips=2&seed=4", "--output", output, "--sla-ms", 60000
    )
    assert result.exit_code == 0, result.output
    records = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(r["clip_id"], r["status"], r["sla_ms"]) for r in records] == [
        ("pattern/000000", "ok", 60000.0),
        ("pattern/000001", "ok", 60000.0),
    ]
    assert all(r["label"] == r["predictions"][0]["class"] for r in records)
    assert "2 clips: 2 ok" in result.stdout


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("missing.mp4", "missing.mp4"),
        ("pattern:waves", "only motions"),
        ("pattern:motions?fps=0", "fps"),
        ("pattern:motions?speed=3", "speed"),
        ("pattern:motions?fps", "fps=8&seed=0"),
    ],
)
def test_a_wrong_source_is_one_line(source, named):
    result = invoke("--source", source)
    assert result.exit_code == 2
    assert named in only_line(result.stderr)
