import json
import signal
import sqlite3
import time
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest
from typer.testing import CliRunner

from commands import device
from commands.demo import _sample_frames as sample_frames
from commands.device import DeviceRequest, run
from commands.ways import Way
from configs.settings import DeviceSettings, PlanSettings
from main import app
from pipeline.energy.meter import EnergyMeter
from pipeline.errors import ConfigError, SinkError
from pipeline.ledger import Ledger
from sinks.settings import JsonlSettings
from sources.base import FrameGeometry
from sources.clips import ClipSettings
from sources.writer import write_video
from tests.commands.operations.pages import page_of
from tests.commands.processes import only_line, start
from tests.pipeline.energy.machine import Busy, Turned
from tests.settled import settled


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


def test_energy_is_in_each_record_and_in_the_totals_where_the_machine_shows_it(tmp_path, monkeypatch):
    output = tmp_path / "out.jsonl"
    monkeypatch.setattr(device, "machine_meter", lambda clock: EnergyMeter([Busy()]))
    result = invoke("--source", "pattern:motions?fps=100&clips=2", "--output", output)
    assert sum(json.loads(line)["energy_j"] for line in output.read_text().splitlines()) == 2.0
    assert "2.0 J, 1.000 a clip" in result.stdout


def test_the_metrics_of_a_device_say_what_its_machine_takes(monkeypatch):
    watches = []

    @asynccontextmanager
    async def operated(settings, watch):
        watches.append(watch)
        yield None

    monkeypatch.setattr(device, "operated", operated)
    monkeypatch.setattr(device, "machine_meter", lambda clock: EnergyMeter([Turned("VDD_IN", 12.5)]))
    assert invoke("--source", "pattern:motions?fps=100&clips=1").exit_code == 0
    assert page_of(watches[0].look().collect())("janus_energy_joules_total", source="VDD_IN") == 12.5


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


def run_two_clips(output, *sinks):
    settings = DeviceSettings(plan=PlanSettings(device_only=True))
    source = ("pattern:motions?fps=200&clips=2&seed=4",)
    return run(settings, DeviceRequest(source, output, strict=True, sinks=sinks))


def test_records_go_to_every_sink_that_is_named_while_one_is_not_there(
    tmp_path, capfd, unused_tcp_port, caplog
):
    database, file, spool = (tmp_path / name for name in ("results.db", "out.jsonl", "spool"))
    far = f"http://127.0.0.1:{unused_tcp_port}/hook#grace_s=0.01&spool={spool}"
    assert run_two_clips(None, f"sqlite:{database}", str(file), far) == 0
    assert "2 clips: 2 ok" in capfd.readouterr().out
    assert len(file.read_text().splitlines()) == 2
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM predictions").fetchone() == (2,)
    assert f"2 records stay in {spool}" in caplog.text


def test_a_second_run_counts_on_where_any_of_its_sinks_went_up_to(tmp_path):
    database, file, other = (tmp_path / name for name in ("results.db", "out.jsonl", "other.jsonl"))
    for output in (file, None, file):
        assert run_two_clips(output, f"sqlite:{database}") == 0
    assert run_two_clips(None, str(other)) == 0
    with sqlite3.connect(database) as connection:
        (rows,) = zip(*connection.execute("SELECT seq FROM predictions ORDER BY seq"), strict=True)
    assert rows == (0, 1, 2, 3, 4, 5)
    for path, seqs in ((file, [0, 1, 4, 5]), (other, [0, 1])):
        clips = [json.loads(line)["clip_id"] for line in path.read_text().splitlines()]
        assert clips == [f"pattern/{seq:06d}" for seq in seqs]


def test_a_run_with_only_a_far_end_counts_on_where_the_last_one_went_up_to(tmp_path, unused_tcp_port):
    far = f"http://127.0.0.1:{unused_tcp_port}/hook#grace_s=0.01&spool={tmp_path / 'spool'}"
    for _ in range(2):
        assert run_two_clips(None, far) == 0
    lines = (tmp_path / "spool" / f"{1:016d}.ndjson").read_text().splitlines()
    assert [json.loads(line)["clip_id"] for line in lines] == [f"pattern/{seq:06d}" for seq in range(4)]


def test_a_database_that_is_locked_to_the_end_is_written_to_by_the_next_run(tmp_path, caplog):
    database = tmp_path / "results.db"
    assert run_two_clips(None, f"sqlite:{database}") == 0
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert run_two_clips(None, f"sqlite:{database}#grace_s=0.01") == 0
    assert f"2 records stay in {database}.spool; the next run sends them" in caplog.text
    other.close()
    assert run_two_clips(None, f"sqlite:{database}") == 0
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT seq FROM predictions").fetchall() == [(n,) for n in range(6)]


def test_standard_output_as_a_sink_leaves_the_terminal_to_it(capfd):
    assert run_two_clips(None, "-") == 0
    assert [json.loads(line)["seq"] for line in capfd.readouterr().out.splitlines()] == [0, 1]


def test_one_sink_named_twice_is_refused(tmp_path):
    file = tmp_path / "out.jsonl"
    with pytest.raises(ConfigError, match=f"^sinks {file} and .*: both write to {file}; drop one"):
        run_two_clips(file, str(file))
    assert not file.exists()


def test_two_far_ends_with_one_spool_are_refused_before_anything_starts(tmp_path):
    hooks = [f"http://127.0.0.1:1/hidden#batch={batch}&spool={tmp_path / 'spool'}" for batch in (1, 2)]
    with pytest.raises(ConfigError, match=r"both use the spool .*; give one another folder") as refused:
        run_two_clips(None, *hooks)
    assert "hidden" not in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_records_that_never_found_space_are_said_at_the_end(monkeypatch):
    monkeypatch.setattr("commands.device.parse_sink", lambda spec: JsonlSettings(path=spec, grace_s=0.05))
    with pytest.raises(
        SinkError, match=r"/dev/full: .*No space left on device.*; 2 records were not written"
    ):
        run_two_clips(Path("/dev/full"))


def test_a_signal_ends_it_in_order(tmp_path):
    output = tmp_path / "out.jsonl"
    source = "pattern:motions?fps=200"
    process = start("device", "--source", source, "--device-only", "-o", output, "--strict", "--grace", 20)
    while (not output.exists() or output.read_bytes().count(b"\n") < 3) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    out, error = process.communicate(timeout=40)
    assert process.returncode == 0, error
    assert "finishing what is under way" in error
    records = [json.loads(line) for line in output.read_text().splitlines()]
    assert [record["seq"] for record in records] == list(range(len(records)))
    assert {record["status"] for record in records} <= {"ok", "dropped"}
    assert f"{len(records)} clips" in out


def test_a_signal_tells_the_run_by_when_it_has_to_end(monkeypatch):
    left_s = []

    async def until_asked(job, clock):
        asked = anyio.Event()

        def end_by(ends):
            left_s.append(ends - clock.now())
            asked.set()

        job.on_start(SimpleNamespace(end_by=end_by))
        await settled()
        signal.raise_signal(signal.SIGTERM)
        with anyio.fail_after(10):
            await asked.wait()
        return Ledger()

    way = Way("devit@0", FrameGeometry(32), ClipSettings(16), until_asked)
    monkeypatch.setattr(device, "way_for", lambda settings, live: way)
    assert run(DeviceSettings(grace_s=20), DeviceRequest(("pattern:motions?fps=100&clips=1",))) == 0
    assert left_s == [pytest.approx(20, abs=5)]


def test_a_signal_after_a_clip_has_failed_ends_it_with_0(tmp_path):
    output, broken = tmp_path / "out.jsonl", tmp_path / "broken.mp4"
    broken.write_bytes(bytes(2000))
    sources = ("--source", f"broken={broken}", "--source", "pattern:motions?fps=100")
    process = start("device", *sources, "--device-only", "-o", output)
    while (not output.exists() or output.read_bytes().count(b"\n") < 3) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=40)
    statuses = [json.loads(line)["status"] for line in output.read_text().splitlines()]
    assert "failed" in statuses
    assert process.returncode == 0, error
