import json
from io import StringIO

from rich.console import Console

from benchmarks.faults.checks import Figure, figures
from benchmarks.faults.evidence import Line
from benchmarks.faults.report import as_json, faults_table, figures_table
from tests.benchmarks.faults.runs import WANTED, good_run, late


def printed(table):
    text = StringIO()
    Console(file=text, width=150).print(table)
    return text.getvalue()


def test_what_is_not_as_wanted_is_marked():
    found = [Figure("one", "5", "5", True), Figure("other", "6", "7", False)]
    text = printed(figures_table(found, "title"))
    assert "6 (!)" in text
    assert "5 (!)" not in text


def test_faults_are_counted_by_kind_and_cameras_have_their_returns():
    text = printed(faults_table(good_run()))
    rows = [line for line in text.splitlines() if "down" in line or "kill" in line]
    assert [[cell.strip() for cell in row.split("│")[1:-1]] for row in rows] == [
        ["cameras", "down", "1", "5", "3.00, 3.00", "1.00, 1.00"],
        ["cloud", "kill", "1", "5", "", ""],
    ]


def test_a_camera_that_never_came_back_has_no_time():
    evidence = good_run()
    evidence.changes = []
    assert "3.00" not in printed(faults_table(evidence))


def test_json_holds_the_figures_and_the_late_clips():
    evidence = good_run()
    evidence.lines.append(Line(late(10, "cloud", 500.0), 110.0))
    text = as_json(evidence, figures(evidence, WANTED))
    assert json.loads(json.dumps(text)) == text
    assert text["good"] is False
    assert [each["seq"] for each in text["late"]] == [10]
    assert {each["name"]: each["found"] for each in text["figures"]}["exit status after SIGTERM"] == "0"
    assert len(text["samples"]) == len(evidence.samples) / 10
    assert text["returns"][0]["seconds"] == 3.0
