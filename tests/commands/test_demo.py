import io
import json
import re

from rich.console import Console

from commands.demo import Summary, _write
from tests.commands.processes import run


def record(name="left", status="ok", **rest):
    base = {
        "status": status,
        "predictions": [{"class": name, "class_id": 0, "confidence": 0.9}],
        "latency_ms": {"total": 20.0},
        "plan": {"pruning": "none", "split": 6, "codec": "int8+zstd", "ran": "split"},
        "bytes": 1000,
        "model": "motions@1f2e3d4c",
    }
    return base | rest


def test_the_summary_counts_what_was_seen():
    summary = Summary()
    assert summary.add(record("left"), "left")
    assert not summary.add(record("left", latency_ms={"total": 40.0}), "right")
    assert not summary.add(record(status="failed", predictions=[], plan=None, bytes=0), "up")
    totals = summary.as_dict()
    assert (totals["clips"], totals["correct"], totals["accuracy"]) == (3, 1, 0.3333)
    assert totals["latency_ms"] == {"p50": 20.0, "p95": 38.0, "max": 40.0}
    assert totals["bytes"] == {"total": 2000, "per_clip": 667}
    assert (totals["ran"], totals["status"]) == ({"split": 2}, {"ok": 2, "failed": 1})


def test_energy_is_in_the_summary_where_it_is_in_records(tmp_path):
    summary, bare = Summary(), Summary()
    for energy_j in (1.0, 2.0):
        summary.add(record(energy_j=energy_j), "left")
        bare.add(record(), "left")
    assert summary.as_dict()["joules_per_clip"] == 1.5
    assert "joules_per_clip" not in bare.as_dict()
    console = Console(record=True, width=100, file=io.StringIO())
    _write(console, summary, tmp_path / "demo.json", 250.0)
    assert re.search(r"│ energy +│ 3.0 J, 1.500 a clip", console.export_text())
    _write(console, bare, tmp_path / "demo.json", 250.0)
    assert "│ energy" not in console.export_text()


def test_a_demo_that_saw_nothing_has_no_figures_to_invent():
    totals = Summary().as_dict()
    assert (totals["clips"], totals["accuracy"], totals["latency_ms"]["p50"]) == (0, None, None)


def test_two_processes_name_the_motions_they_are_shown(tmp_path):
    output = tmp_path / "demo.json"
    status, out, error = run("demo", "--seconds", 2, "--output", output)
    totals = json.loads(output.read_text())
    assert status == 0, error
    assert totals["clips"] == 6 + 16
    answered = totals["clips"] - totals["status"].get("dropped", 0)
    assert totals["correct"] >= 0.9 * answered > 0
    assert sum(totals["ran"].values()) == sum(totals["plans"].values()) == answered
    assert totals["ran"].keys() & {"split", "cloud"}, "the cloud has its part"
    assert totals["bytes"]["total"] > 0
    assert "pattern/000005" in out
    assert "sample/000015" in out
