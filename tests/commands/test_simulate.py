import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from commands.runtime import guarded
from commands.simulate import SimulateRequest, by_group, read_setup, run
from commands.simulation.contestants import NAMES
from scheduling.traces import constant
from tests.scheduling.simulation.setups import small_setup

PAPERS_SETUP = Path(__file__).resolve().parents[2] / "configs" / "paper.yaml"


@pytest.fixture
def setup(tmp_path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(small_setup()))
    return path


@pytest.fixture
def traces(tmp_path) -> Path:
    """Two groups of one short trace each: a fast link, and one that is gone half of the time."""
    folder = tmp_path / "traces"
    for group, rates in {"near": [40, 40], "far": [3, 0, 0, 3]}.items():
        (folder / group).mkdir(parents=True)
        lines = [f"{t},{mbps}" for t, mbps in enumerate(rates)]
        (folder / group / "walk.csv").write_text("\n".join(["t_s,mbps", *lines]))
    return folder


def rows_of(capsys, *args, **options) -> list[dict]:
    assert run(SimulateRequest(*args, as_json=True, **options)) == 0
    return json.loads(capsys.readouterr().out)


class TestRows:
    def test_hold_every_policy_for_every_group(self, setup, traces, capsys):
        rows = rows_of(capsys, setup, (traces,))
        found = [(row["group"], row["policy"], row["pixels"]) for row in rows]
        assert len(found) == len(set(found)) == 2 * (len(NAMES) + 4)
        assert {group for group, _, _ in found} == {"near", "far"}
        for group in ("near", "far"):
            assert (group, "janus", "paper") in found
            assert (group, "janus", "encoded") in found
            assert (group, "janus+ strict", "every") in found

    def test_are_fractions_clips_a_second_and_ms(self, setup, traces, capsys):
        for row in rows_of(capsys, setup, (traces,)):
            assert 0 <= row["violation_ratio"] <= 1
            assert 0 < row["throughput"] <= 1000 / row["latency_mean_ms"] + 1e-6
            assert row["accuracy_level"] is None or 0 <= row["accuracy_level"] <= 1
            assert row["task"] == "still"
            assert row["clips"] > 0

    def test_of_a_device_alone_are_the_same_over_any_link(self, setup, traces, capsys):
        rows = rows_of(capsys, setup, (traces,), policies=("device-only",))
        assert len({round(row["latency_mean_ms"], 6) for row in rows}) == 1
        assert {row["bytes_per_clip"] for row in rows} == {0.0}

    def test_of_janus_plus_keep_the_promise_where_the_link_does_not(self, setup, traces, capsys):
        rows = rows_of(capsys, setup, (traces,), policies=("cloud-only", "janus+"))
        late = {(row["group"], row["policy"]): row["violation_ratio"] for row in rows}
        assert late["far", "janus+"] == 0 < late["far", "cloud-only"]

    def test_without_rescue_hold_no_rescued_clip(self, setup, traces, capsys):
        with_it, without = (
            rows_of(capsys, setup, (traces,), policies=("janus+",), rescue=rescue) for rescue in (True, False)
        )
        assert any(row["rescued_ratio"] > 0 for row in with_it)
        assert all(row["rescued_ratio"] == 0 for row in without)

    def test_with_pixels_that_stay_send_none(self, setup, traces, capsys):
        rows = rows_of(capsys, setup, (traces,), pixels_stay=True)
        assert all(row["in_cloud_ratio"] == 0 for row in rows)
        assert {row["policy"] for row in rows} == set(NAMES) - {"cloud-only"}

    def test_at_a_rate_hold_as_many_clips_as_come(self, setup, traces, capsys):
        rows = rows_of(capsys, setup, (traces,), policies=("janus",), clips_per_second=2.0)
        assert {row["clips"] for row in rows} == {4, 8}

    def test_need_no_data_with_a_made_up_link(self, setup, capsys, monkeypatch):
        monkeypatch.setattr("commands.simulate.LTE_SECONDS", 10.0)
        first, second = (rows_of(capsys, setup, lte=7, policies=("janus",)) for _ in range(2))
        assert first == second
        assert first[0]["group"] == "made-up lte"


class TestTheScreen:
    def test_shows_the_tables_on_stdout(self, setup, traces, capsys):
        assert run(SimulateRequest(setup, (traces,))) == 0
        out = capsys.readouterr().out
        for part in ("task still", "near", "janus+ strict", "cloud-only", "the paper's ranges", "the oracle"):
            assert part in out

    def test_keeps_stdout_for_json(self, setup, traces, capsys):
        assert run(SimulateRequest(setup, (traces,), policies=("janus",), as_json=True)) == 0
        captured = capsys.readouterr()
        json.loads(captured.out)
        assert "task still" in captured.err

    def test_compares_nothing_where_nothing_stands_beside(self, setup, traces, capsys):
        assert run(SimulateRequest(setup, (traces,), policies=("oracle",))) == 0
        assert "ranges" not in capsys.readouterr().out


class TestTheReport:
    @pytest.fixture(autouse=True)
    def few_bandwidths(self, monkeypatch):
        monkeypatch.setattr("commands.simulation.report.STEADY_MBPS", (1, 50))

    def test_is_one_file_with_the_three_figures(self, setup, traces, tmp_path):
        html = tmp_path / "new" / "report.html"
        assert run(SimulateRequest(setup, (traces,), policies=("janus", "cloud-only"), html=html)) == 0
        text = html.read_text("utf-8")
        assert all(f"Fig. {number}, still" in text for number in (7, 8, 9))
        assert "<script src=" not in text

    def test_shows_the_run_that_was_asked_for(self, setup, traces, tmp_path):
        html = tmp_path / "report.html"
        request = SimulateRequest(setup, (traces,), policies=("janus",), series="near/walk", html=html)
        assert run(request) == 0
        assert "near\\u002fwalk" in html.read_text("utf-8")


class TestBadInput:
    def complaint(self, capsys, request: SimulateRequest) -> str:
        assert guarded(lambda: run(request)) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("janus: ")
        assert captured.err.count("\n") == 1
        return captured.err

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "- 1",
            "a: [",
            "a: !!python/object/apply:os.system [ls]",
            "? {a: 1}\n: 2",
            "[" * 5000,
            "a: 2024-99-99",
            "a: " + "9" * 5000,
            "machines: {device: 3}",
            "\x00",
        ],
    )
    def test_a_hostile_setup_is_one_line(self, text, tmp_path, capsys):
        path = tmp_path / "odd.yaml"
        path.write_text(text)
        assert "odd.yaml" in self.complaint(capsys, SimulateRequest(path, lte=1))

    def test_a_setup_that_is_no_text_or_too_large_is_refused(self, tmp_path, capsys):
        path = tmp_path / "odd.yaml"
        path.write_bytes(b"\xff\xfe\xfa")
        assert "cannot be read" in self.complaint(capsys, SimulateRequest(path, lte=1))
        path.write_bytes(b"#" * ((1 << 20) + 1))
        assert "too large" in self.complaint(capsys, SimulateRequest(path, lte=1))
        assert "no file" in self.complaint(capsys, SimulateRequest(tmp_path, lte=1))

    @pytest.mark.parametrize(
        ("options", "named"),
        [
            ({}, "--traces"),
            ({"traces": (Path("nowhere"),)}, "nowhere"),
            ({"lte": 1, "policies": ("fastest",)}, "'fastest'"),
            ({"lte": 1, "policies": ("cloud-only",), "pixels_stay": True}, "--pixels-stay"),
            ({"lte": 1, "task": "audio"}, "there is still"),
            ({"lte": 1, "clips_per_second": 0.0}, "--clips-per-second"),
            ({"lte": 1, "clips_per_second": float("nan")}, "--clips-per-second"),
            ({"lte": 1, "clips_per_second": 5000.0}, "--clips-per-second"),
            ({"lte": 1, "series": "driving"}, "--series"),
            ({"lte": 1, "html": Path()}, "is a folder"),
        ],
    )
    def test_an_option_that_is_wrong_is_named(self, options, named, setup, capsys):
        assert named in self.complaint(capsys, SimulateRequest(setup, **options))

    def test_a_link_that_carries_nothing_is_refused(self, setup, tmp_path, capsys):
        path = tmp_path / "dead.csv"
        path.write_text("t_s,mbps\n0,0\n1,0\n")
        assert "next to nothing" in self.complaint(capsys, SimulateRequest(setup, (path,)))

    def test_more_clips_than_memory_holds_are_refused(self, setup, tmp_path, capsys):
        path = tmp_path / "day.csv"
        path.write_text("t_s,mbps\n0,9\n40000,9\n")
        request = SimulateRequest(setup, (path,), clips_per_second=500.0)
        assert "over 2000000" in self.complaint(capsys, request)


def test_groups_come_in_the_order_of_their_traces():
    first, second = constant(1.0), constant(2.0)
    assert list(by_group([first, second]).values()) == [[first, second]]


def test_the_papers_setup_can_be_read():
    assert [task.name for task in read_setup(PAPERS_SETUP).tasks] == ["image", "video"]


def test_it_never_loads_torch():
    code = "import sys, commands.simulate, commands.simulation.report; sys.exit('torch' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
