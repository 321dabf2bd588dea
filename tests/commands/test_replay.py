import json
import random
import signal
import socket
import time
from functools import partial

import pytest
from typer.testing import CliRunner

from commands import device_pipeline
from commands import replay as replaying
from commands.demo import _sample_frames as sample_frames
from commands.profiling.cache import write_profile
from main import app
from models import create_model
from pipeline.energy.meter import EnergyMeter
from sources.writer import write_video
from tests.commands.link import cloud_here
from tests.commands.machines import profile_for
from tests.commands.processes import cloud, only_line, start
from tests.data import shared_data
from tests.pipeline.energy.machine import Busy
from transport.websocket import dial

CLIPS = 16
PLAN = ("--split", 4)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A folder with a video of 16 clips, and one shorter than a clip."""
    folder = tmp_path_factory.mktemp("videos")
    frames = list(sample_frames(0))
    write_video(folder / "long.mp4", frames, 25)
    (folder / "door").mkdir()
    write_video(folder / "door" / "short.mp4", frames[:5], 25)
    return folder


@pytest.fixture(scope="module")
def unbroken(videos, tmp_path_factory):
    """The records of a run that nothing disturbed, all on the device."""
    output = tmp_path_factory.mktemp("unbroken") / "out.jsonl"
    assert replay(videos, "--output", output, "--device-only").exit_code == 0
    return records_in(output)


@pytest.fixture(scope="module")
def url():
    """Of a cloud process that serves one device after the other."""
    with cloud() as (_, url):
        yield url


def replay(*arguments):
    """A replay in this process; others are processes of their own, where it is that which is tested."""
    return CliRunner().invoke(app, ["replay", *map(str, arguments)])


def records_in(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def answers(records):
    return sorted((r["clip_id"], r["status"], r["predictions"][0]["class"]) for r in records)


def test_every_clip_has_one_record_and_a_short_video_is_padded_and_marked(unbroken):
    assert sorted(r["clip_id"] for r in unbroken) == [
        "door/short/000000",
        *(f"long/{seq:06d}" for seq in range(CLIPS)),
    ]
    assert [r["padded"] for r in unbroken if "padded" in r] == [11]
    assert {r["plan"]["ran"] for r in unbroken} == {"device"}


def test_energy_is_in_each_record_and_summed_at_the_end_where_the_machine_shows_it(
    videos, unbroken, tmp_path, monkeypatch
):
    output = tmp_path / "out.jsonl"
    monkeypatch.setattr(replaying, "machine_meter", lambda clock: EnergyMeter([Busy()]))
    result = replay(videos, "--output", output, "--device-only")
    shares = [record["energy_j"] for record in records_in(output)]
    assert len(shares) == CLIPS + 1
    assert sum(shares) == pytest.approx(CLIPS + 1, abs=0.01)
    assert f"energy: {CLIPS + 1:.1f} J, 1.000 a clip" in only_line(result.stderr)
    assert not any("energy_j" in record for record in unbroken)


@pytest.mark.parametrize("split", [0, 12])
def test_two_processes_answer_as_one(videos, unbroken, url, tmp_path, split):
    output = tmp_path / "out.jsonl"
    plan = ("--split", split, "--codec", "raw" if split == 0 else "float32")
    result = replay(videos, "--cloud", url, "--output", output, "--strict", *plan)
    assert result.exit_code == 0, result.output
    assert answers(records_in(output)) == answers(unbroken)


def test_a_scheduler_answers_as_a_fixed_plan_and_can_be_asked_why(videos, unbroken, url, tmp_path):
    output = tmp_path / "out.jsonl"
    chosen = ("--policy", "janus+", "--codecs", "raw,float32", "--in-flight", 2, "--sla-ms", 60_000)
    result = replay(videos, "--cloud", url, "--output", output, "--strict", *chosen)
    assert result.exit_code == 0, result.output
    records = records_in(output)
    assert answers(records) == answers(unbroken)
    assert all(record["expected_ms"] > 0 and record["link"]["mbps"] > 0 for record in records)
    result = CliRunner().invoke(app, ["explain", str(output), "long/000003"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "chosen by janus+: the fastest at the best level" in result.stdout


def test_a_replay_on_the_device_alone_takes_its_profile_from_a_file(videos, unbroken, model, tmp_path):
    output = tmp_path / "out.jsonl"
    write_profile(profile_for(model), tmp_path / "profile.json")
    policy = ("--policy", "device-only", "--profile", tmp_path / "profile.json", "--sla-ms", 60_000)
    result = replay(videos, "--output", output, *policy)
    assert result.exit_code == 0, result.output
    records = records_in(output)
    assert sorted(r["clip_id"] for r in records) == sorted(r["clip_id"] for r in unbroken)
    assert {r["plan"]["ran"] for r in records} == {"device"}
    assert {tuple(r["expected_parts_ms"]) for r in records} == {("wait", "head")}


def test_kill_9_and_resume_give_every_clip_once(videos, unbroken, url, tmp_path):
    output = tmp_path / "out.jsonl"
    rng = random.Random(1)
    command = (videos, "--cloud", url, "--output", output, "--resume", "--split", 4)
    for _ in range(2):
        process = start("replay", *command)
        wait_for_lines(output, process, rng.randrange(1, 8))
        time.sleep(rng.random() * 0.02)
        process.kill()
        process.communicate()
        with output.open("a") as file:
            file.write('{"schema": 1, "clip_id": "long/0000')
    assert replay(*command).exit_code == 0
    assert [a[:2] for a in answers(records_in(output))] == [a[:2] for a in answers(unbroken)]


def wait_for_lines(path, process, more):
    """Until `more` lines than now were added, or the process has ended."""
    lines = lambda: path.read_bytes().count(b"\n") if path.exists() else 0  # noqa: E731
    before = lines()
    while lines() < before + more and process.poll() is None:
        time.sleep(0.001)


def test_kill_9_of_the_cloud_loses_nothing_when_it_comes_back(videos, unbroken, tmp_path):
    output = tmp_path / "out.jsonl"
    with cloud() as (first, url):
        process = start("replay", videos, "--cloud", url, "--output", output, "--split", 4, "--strict")
        wait_for_lines(output, process, 3)
        first.kill()
        first.communicate()
        with cloud(port=url.rsplit(":", 1)[1].split("/")[0]):
            _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert [a[:2] for a in answers(records_in(output))] == [a[:2] for a in answers(unbroken)]


def test_ctrl_c_leaves_whole_lines_and_status_130(videos, url, tmp_path):
    output = tmp_path / "out.jsonl"
    process = start("replay", videos, "--cloud", url, "--output", output, "--split", 4)
    wait_for_lines(output, process, 1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "--resume" in only_line(error)
    assert all(record["status"] == "ok" for record in records_in(output))


def test_a_video_that_breaks_gives_what_decodes_and_one_failed_record(tmp_path):
    broken = shared_data("videos", "odd", "corrupted.mp4")
    output = tmp_path / "out.jsonl"
    result = replay(broken, "--output", output, "--device-only")
    records = records_in(output)
    assert result.exit_code == 1
    assert "failed" in only_line(result.stderr)
    assert [r["status"] for r in records] == ["ok", "ok", "ok", "ok", "failed"]
    assert "corrupted.mp4" in records[-1]["reason"]


def test_a_cloud_with_other_weights_is_refused(videos, tmp_path):
    with cloud_here(create_model("motions", weights="random")) as url:
        result = replay(videos, "--cloud", url, "--output", tmp_path / "o", *PLAN)
    assert result.exit_code == 2
    assert "weights of motions differ" in only_line(result.stderr)


def test_a_message_over_the_limit_is_one_line(videos, model, tmp_path):
    with cloud_here(model, max_message_bytes=20_000) as url:
        result = replay(videos, "--cloud", url, "--output", tmp_path / "o", *PLAN, "--codec", "float32")
    assert result.exit_code == 2
    assert "over the agreed limit of 20000 bytes" in only_line(result.stderr)


@pytest.mark.parametrize("listens", [True, False])
def test_a_port_that_is_no_cloud_is_one_line(videos, tmp_path, listens, monkeypatch):
    monkeypatch.setattr(device_pipeline, "dial", partial(dial, open_timeout_s=0.2))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if not listens:
            server.close()
        (tmp_path / "hasty.yaml").write_text("link: {connect_s: 0.2, patience_s: 0}\n")
        hasty = ("--config", tmp_path / "hasty.yaml", "--cloud", f"ws://127.0.0.1:{port}")
        result = replay(videos, *hasty, "--output", tmp_path / "o", *PLAN)
    assert result.exit_code == 2
    assert f"127.0.0.1:{port}" in only_line(result.stderr)


WRONG = {
    "no such file": (["missing.mp4"], "missing.mp4"),
    "an unknown model": (["--model", "resnet"], "resnet"),
    "an unknown codec": (["--codec", "gzip"], "gzip"),
    "a codec of the other kind": (["--split", "0", "--codec", "int8"], "pixels"),
    "a split beyond the model": (["--split", "14"], "0 (all in the cloud) .. 13"),
    "an unknown pruning": (["--pruning", "top:3"], "uniform:<tokens a layer>"),
    "weights that are missing": (["--weights", "missing.pth"], "missing.pth"),
    "no cloud": (["--split", "4"], "--cloud"),
    "a URL that is none": (["--split", "4", "--cloud", "http://x"], "ws://HOST:PORT"),
    "an unknown policy": (["--policy", "oracle"], "plan.policy"),
    "a policy and a plan": (["--policy", "janus", "--split", "4"], "leaves nothing to choose"),
    "levels and a plan": (["--levels", "levels.yaml", "--device-only"], "leaves nothing to choose"),
    "levels that are missing": (["--levels", "missing.yaml"], "missing.yaml"),
    "a profile that is missing": (["--profile", "missing.json"], "missing.json"),
    "an unknown codec to choose from": (["--codecs", "png,gif"], "gif"),
    "no codec to choose from": (["--codecs", "png,,"], "codec ''"),
    "a contradiction": (["--device-only", "--split", "3"], "contradicts"),
    "a model without weights": (["--model", "vit_tiny_patch16_224", "--device-only"], "--weights"),
    "a rate of nothing": (["--rate", "0", "--device-only"], "rate"),
}


@pytest.mark.parametrize(("arguments", "named"), WRONG.values(), ids=WRONG.keys())
def test_wrong_input_is_one_line_and_status_2(videos, tmp_path, arguments, named):
    result = CliRunner().invoke(app, ["replay", str(videos), "--output", str(tmp_path / "o"), *arguments])
    assert result.exit_code == 2, result.output
    assert named in only_line(result.stderr)
    assert result.stdout == ""


def test_results_are_never_overwritten_unasked(videos, tmp_path):
    output = tmp_path / "out.jsonl"
    output.write_text("precious\n")
    result = CliRunner().invoke(app, ["replay", str(videos), "--output", str(output), "--device-only"])
    assert result.exit_code == 2
    assert "--resume" in only_line(result.stderr)
    assert output.read_text() == "precious\n"
