import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from main import app
from pipeline.items import Prediction, Status
from sinks.jsonl import JsonlSink
from sinks.record import to_line, to_record
from tests.commands.link import run_clips, setup_for, wire_to_cloud
from tests.commands.machines import profile_for
from tests.commands.processes import only_line
from tests.sinks.samples import DOCUMENTED, numbered

ROOT = Path(__file__).resolve().parents[2]


def explain(*arguments: object):
    return CliRunner().invoke(app, ["explain", *map(str, arguments)], env={"COLUMNS": "200"})


def explained(*arguments: object) -> str:
    result = explain(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def written(path: Path, *records: object) -> Path:
    """A file of these records, each a dict of JSON or raw bytes."""
    path.write_bytes(b"".join(r if isinstance(r, bytes) else json.dumps(r).encode() + b"\n" for r in records))
    return path


def spoilt(**changed: object) -> dict[str, object]:
    return to_record(DOCUMENTED) | changed


def row(text: str, name: str) -> list[str]:
    """The cells of the table's row that begins with `name`."""
    (line,) = (
        line
        for line in text.splitlines()
        if line.startswith(("│", "|")) and line[1:].strip().startswith(name)
    )
    return [cell.strip() for cell in line.strip("│|").split("│")]


@pytest.mark.parametrize("policy", ["janus+", "mixed"])
async def test_a_real_record_tells_who_chose_what_for_which_reason_and_what_else_there_was(
    model, tmp_path, policy
):
    output = tmp_path / "out.jsonl"
    sink = JsonlSink(output)
    sink.open()
    async with wire_to_cloud(model, profile_for(model, 0.1)) as wire:
        setup = setup_for(model, policy=policy, sla_ms=10_000)
        await run_clips(setup, wire, 2, sinks=[sink])
    sink.close()
    for record in map(json.loads, output.read_text().splitlines()):
        text = explained(output, record["clip_id"])
        plan = record["plan"]
        assert f"{record['clip_id']}: ok, {record['latency_ms']['total']} ms of 10000.0 ms promised" in text
        assert f"pruning {plan['pruning']}, split {plan['split']}, codec {plan['codec']}" in text
        assert f"chosen by {policy}: " in text
        assert f"{record['link']['mbps']:g} Mbit/s" in text
        assert row(text, "chosen")[1:5] == [
            plan["pruning"],
            str(plan["split"]),
            plan["codec"],
            str(record["expected_ms"]),
        ]
        for other in record["near"]:
            assert row(text, other["what"])[4] == str(other["expected_ms"])
        for part, measured in record["latency_ms"].items():
            assert row(text, part)[2] == str(measured)


def test_candidates_are_judged_by_the_budget_and_the_level(tmp_path):
    near = [
        {"what": "best level", "level": "better", "pruning": "none", "split": 0, "codec": "png"},
        {"what": "fastest", "level": "worse", "pruning": "none", "split": 0, "codec": "png"},
        {"what": "all in the cloud", "level": "same", "pruning": "none", "split": 0, "codec": "png"},
    ]
    expected = (400.5, 100.0, None)
    record = spoilt(near=[each | {"expected_ms": ms} for each, ms in zip(near, expected, strict=True)])
    text = explained(written(tmp_path / "out.jsonl", record), DOCUMENTED.clip_id)
    assert row(text, "best level")[4:] == ["400.5", "late by 101.8 ms"]
    assert row(text, "fastest")[5] == "in time, but less accurate"
    assert row(text, "all in the cloud")[4:] == ["-", "no link"]
    assert "device 1.1 and cloud 0.9 times their profiles" in text


def test_a_record_without_a_plan_or_without_a_forecast_says_what_there_is(tmp_path):
    dropped = Prediction("a/000000", "a", 0, Status.DROPPED, reason="queue full")
    by_hand = spoilt(expected_ms=None, plan=to_record(DOCUMENTED)["plan"] | {"why": "fixed"})
    path = written(tmp_path / "out.jsonl", to_line(dropped), by_hand)
    assert "a/000000: dropped, nothing of nothing promised\nreason: queue full" in explained(path, "a/000000")
    text = explained(path, DOCUMENTED.clip_id)
    assert "chosen by fixed" in text
    assert "candidate" not in text


def test_a_clips_share_of_the_energy_is_told_where_it_has_one(tmp_path):
    path = written(tmp_path / "out.jsonl", spoilt(energy_j=1.25), to_line(numbered(7)))
    assert "energy: 1.25 J, its share of what the machine took" in explained(path, DOCUMENTED.clip_id)
    assert "energy" not in explained(path, numbered(7).clip_id)


@pytest.mark.parametrize(
    "clip_id", ["tür/000001", 'a "b"\\c/000002', "\u65e5\u672c/000003", "a:smile:[b]/000004"]
)
def test_any_name_of_a_clip_is_found(tmp_path, clip_id):
    path = written(tmp_path / "out.jsonl", to_line(numbered(0)), spoilt(clip_id=clip_id))
    assert clip_id in explained(path, clip_id)


def test_a_clip_that_only_looks_like_the_one_asked_for_is_another(tmp_path):
    path = written(tmp_path / "out.jsonl", to_line(numbered(1)), spoilt(reason=numbered(7).clip_id))
    for clip_id in (numbered(7).clip_id, "abseiling/00000", "abseiling"):
        result = explain(path, clip_id)
        assert result.exit_code == 2
        assert only_line(result.stderr) == f"janus: {path}: none of its 2 records is of clip {clip_id}"
        assert result.stdout == ""


def test_what_a_crash_left_in_a_file_hides_no_record(tmp_path):
    torn = [
        b"\0" * 5000 + b"\n",
        b"[" * 20_000 + b"\n",
        b"7\n",
        b'{"clip_id": "abseiling/000003"\n',
        b"\xff\n",
    ]
    path = written(tmp_path / "out.jsonl", *torn, to_line(DOCUMENTED), to_line(numbered(9))[:-9])
    assert "abseiling/000003: ok" in explained(path, DOCUMENTED.clip_id)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    for path in (tmp_path / "missing.jsonl", tmp_path):
        result = explain(path, "a/0")
        assert result.exit_code == 2
        assert f"{path}: cannot be read (" in only_line(result.stderr)
    result = explain(written(tmp_path / "empty"), "a/0")
    assert (result.exit_code, result.stdout) == (2, "")


PLAN = to_record(DOCUMENTED)["plan"]
BROKEN = {
    "nothing but a name": {"clip_id": DOCUMENTED.clip_id},
    "a plan that is a number": spoilt(plan=7),
    "a plan that is a list": spoilt(plan=[PLAN]),
    "a plan without a split": spoilt(plan={"pruning": "none"}),
    "a codec that is a list": spoilt(plan=PLAN | {"codec": ["png"]}),
    "words for numbers": spoilt(expected_ms="soon"),
    "words for a link": spoilt(link={"mbps": "fast", "rtt_ms": 3}),
    "latency that is a list": spoilt(latency_ms=[1, 2]),
    "parts that are a list": spoilt(expected_parts_ms=[1, 2]),
    "neighbours that are none": spoilt(near=7),
    "a level that is none": spoilt(near=[to_record(DOCUMENTED)["near"][0] | {"level": "\x1b[2J" * 9000}]),
    "a number beyond floats": spoilt(latency_ms={"total": 10**400}),
    "load in words": spoilt(load={"device": "much", "cloud": 1}),
}


@pytest.mark.parametrize("record", BROKEN.values(), ids=BROKEN.keys())
def test_a_record_that_is_none_of_ours_is_one_line(tmp_path, record):
    path = written(tmp_path / "out.jsonl", record)
    result = explain(path, DOCUMENTED.clip_id)
    assert result.exit_code == 2, result.output
    line = only_line(result.stderr)
    assert f"{path}: the record of abseiling/000003 is not one of Janus: " in line
    assert line.isprintable()
    assert len(line) < 600


ATTACK = "\x1b]0;owned\x07\x1b[2J\r\n\x9bcolour \u202e"


def test_a_hostile_record_commands_no_terminal(tmp_path):
    near = to_record(DOCUMENTED)["near"][0]
    hostile = spoilt(
        status=ATTACK,
        reason=ATTACK,
        plan=PLAN | dict.fromkeys(("pruning", "codec", "ran", "why", "split"), ATTACK),
        near=[near | dict.fromkeys(("what", "pruning", "codec", "split"), ATTACK)],
    )
    text = explained(written(tmp_path / "out.jsonl", hostile), DOCUMENTED.clip_id)
    assert "owned" in text
    assert all(char.isprintable() for char in text.replace("\n", ""))


def test_a_hostile_name_is_printed_without_its_commands(tmp_path):
    path = written(tmp_path / "out.jsonl", spoilt(clip_id=ATTACK), to_line(DOCUMENTED))
    assert explained(path, ATTACK).replace("\n", "").isprintable()
    result = explain(path, ATTACK + "?")
    assert only_line(result.stderr).isprintable()


def test_it_needs_no_torch(tmp_path):
    path = written(tmp_path / "out.jsonl", to_line(DOCUMENTED))
    code = (
        f"import sys; sys.argv = ['main.py', 'explain', {str(path)!r}, {DOCUMENTED.clip_id!r}]; import main\n"
        "try: main.app()\n"
        "except SystemExit as end: print(end.code, {'torch', 'cv2', 'aiohttp'} & sys.modules.keys())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout
    assert out.endswith("0 set()\n"), out
    assert "abseiling/000003: ok, 201.4 ms of 300.0 ms promised" in out
