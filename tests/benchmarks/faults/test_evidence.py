import json
import os
import threading

from benchmarks.faults.evidence import (
    Sample,
    Wait,
    read_clips,
    read_lines,
    read_log,
    read_spool,
    read_totals,
    sample,
)
from commands.logs import json_line
from sinks.segments import POSITION


def test_a_sample_is_what_a_process_takes_now(tmp_path):
    results = tmp_path / "results.jsonl"
    before = sample(os.getpid(), results, 1.0)
    results.write_text("12345")
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    with results.open():
        after = sample(os.getpid(), results, 2.0)
    release.set()
    thread.join()
    assert (after.threads - before.threads, after.files - before.files) == (1, 1)
    assert (before.written_bytes, after.written_bytes) == (0, 5)
    assert 10 < after.rss_mb < 10_000


def test_a_record_is_as_old_as_the_first_look_that_has_seen_all_of_it():
    text = '{"seq": 0}\n{"seq": 1}\n{"seq": 2}\n'
    sizes = (0, 11, 21, 33)
    samples = [Sample(float(at), 1, 1, 1, size) for at, size in enumerate(sizes)]
    lines = read_lines(text, samples)
    assert [(line.record["seq"], line.at) for line in lines] == [(0, 1.0), (1, 3.0), (2, 3.0)]
    assert read_lines(text, samples[:2])[-1].at == 1.0


def test_a_log_tells_states_and_waits_and_what_is_no_json_is_passed_over():
    lines = [
        json_line("warning", "x", "door: reconnecting: gone", 10.25, source="door", state="reconnecting"),
        json_line("info", "x", "door: next attempt in 3.25 s", 10.5, source="door"),
        json_line("info", "x", "clip finished here", 11.0, clip="door/1"),
        "Traceback (most recent call last):",
        "12",
    ]
    changes, waits = read_log(lines)
    assert [(each.at, each.source, each.state) for each in changes] == [(10.25, "door", "reconnecting")]
    assert waits == [Wait(10.5, "door", 3.25)]


def test_a_wait_counts_as_far_as_it_lies_within():
    wait = Wait(10.0, "door", 4.0)
    assert [wait.within(*span) for span in ((8, 20), (12, 20), (8, 11), (11, 12), (14, 20), (0, 9))] == [
        4.0,
        2.0,
        1.0,
        1.0,
        0.0,
        0.0,
    ]


def test_the_totals_are_those_of_the_last_line():
    text = "a  b\n9 clips: 9 ok, 0 late, 0 dropped, 0 failed\n12 clips: 9 ok, 2 late, 1 dropped, 0 failed\n"
    assert read_totals(text) == {"ok": 9, "late": 2, "dropped": 1, "failed": 0}
    assert read_totals("nothing") == {}


def test_clips_of_a_page_are_those_with_a_record_and_those_under_way():
    page = (
        "# HELP janus_clips_total Clips.\n"
        'janus_clips_total{ran="device",status="ok"} 7.0\n'
        'janus_clips_total{ran="none",status="dropped"} 2.0\n'
        "janus_clips_under_way 3.0\n"
        'janus_source_clips_total{source="door",status="ok"} 9.0\n'
    )
    assert read_clips(page) == 12
    assert read_clips("") == 0


def test_a_spool_holds_what_lies_behind_its_position(tmp_path):
    lines = [json.dumps({"clip_id": f"{number}"}) + "\n" for number in range(4)]
    (tmp_path / "1.ndjson").write_text(lines[0])
    (tmp_path / "2.ndjson").write_text(lines[1] + lines[2])
    (tmp_path / "3.ndjson").write_text(lines[3])
    (tmp_path / POSITION).write_text(f"2 {len(lines[1])}\n")
    assert read_spool(tmp_path) == {"2", "3"}
