import io
from dataclasses import replace

import pytest
from rich.console import Console
from rich.progress import Progress

from pipeline.items import ClassScore, Plan, Prediction, Pruning, Ran, Status
from sinks.console import ConsoleSink, cells
from tests.sinks.samples import DOCUMENTED, numbered


def console(terminal: bool) -> Console:
    return Console(
        file=io.StringIO(), force_terminal=terminal, width=120, height=40, _environ={"TERM": "xterm"}
    )


def printed(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def drawn(sink: ConsoleSink) -> str:
    on = console(terminal=False)
    on.print(sink._picture())
    return printed(on)


def test_without_a_terminal_each_clip_is_one_plain_line() -> None:
    on = console(terminal=False)
    sink = ConsoleSink(on)
    sink.open()
    for seq in range(2):
        sink.write(numbered(seq))
    assert printed(on).count("\n") == 2
    assert "abseiling  0.00-10.20  abseiling  91%  split 4 int8+zstd  201 of 300 ms\n" in printed(on)
    assert "\x1b" not in printed(on)
    sink.close()
    assert printed(on).endswith("2 clips: 2 ok, 0 late, 0 dropped, 0 failed\n")


def test_a_long_line_is_not_folded() -> None:
    on = console(terminal=False)
    sink = ConsoleSink(on)
    sink.open()
    sink.write(replace(DOCUMENTED, source="s" * 500))
    assert printed(on).count("\n") == 1


@pytest.mark.parametrize(
    ("prediction", "told"),
    [
        (replace(DOCUMENTED, status=Status.LATE), "201 of 300 ms late"),
        (replace(DOCUMENTED, sla_ms=None), "201 ms"),
        (replace(DOCUMENTED, ran=Ran.DEVICE), "device"),
        (Prediction("a/000000", "a", 0, Status.DROPPED, reason="queue full"), "dropped: queue full"),
        (Prediction("a/000000", "a", 0, Status.FAILED), "failed: no reason given"),
    ],
)
def test_each_way_to_end_is_told(prediction: Prediction, told: str) -> None:
    assert told in cells(prediction)


def test_names_are_never_taken_for_markup() -> None:
    on = console(terminal=False)
    sink = ConsoleSink(on)
    sink.write(replace(DOCUMENTED, source="[bold]cam[/bold]"))
    assert "[bold]cam[/bold]" in printed(on)
    assert "[bold]cam[/bold]" in drawn(sink)


def test_the_table_shows_the_last_clips_and_the_totals() -> None:
    sink = ConsoleSink(console(terminal=True), rows=3)
    for seq in range(10):
        sink.write(replace(numbered(seq), source=f"cam{seq}"))
    picture = drawn(sink)
    assert [f"cam{seq}" in picture for seq in range(10)] == [False] * 7 + [True] * 3
    assert "10 clips: 10 ok" in picture


def test_labelled_clips_are_judged() -> None:
    sink = ConsoleSink(console(terminal=False))
    for truth in ("abseiling", "zumba", None):
        sink.write(replace(DOCUMENTED, label=truth))
    assert sink.totals() == "3 clips: 3 ok, 0 late, 0 dropped, 0 failed; 1 of 2 right"


def test_the_energy_of_clips_is_told_where_there_is_any() -> None:
    sink = ConsoleSink(console(terminal=False))
    for energy_j in (1.0, 2.0, None):
        sink.write(replace(DOCUMENTED, energy_j=energy_j))
    assert sink.totals() == "3 clips: 3 ok, 0 late, 0 dropped, 0 failed; 3.0 J, 1.500 a clip"


def test_on_a_terminal_writing_draws_nothing_by_itself() -> None:
    on = console(terminal=True)
    sink = ConsoleSink(on)
    sink.open()
    before = len(printed(on))
    for seq in range(1000):
        sink.write(numbered(seq))
    # A refresh may fall in between; a thousand would be a megabyte.
    assert len(printed(on)) - before < 50_000
    sink.close()
    assert "1000 clips: 1000 ok" in printed(on)


def test_a_progress_bar_stands_below_the_table() -> None:
    on = console(terminal=True)
    progress = Progress(console=on)
    progress.add_task("replaying", total=10)
    sink = ConsoleSink(on, below=progress)
    sink.open()
    sink.write(DOCUMENTED)
    sink.close()
    assert printed(on).rindex("replaying") > printed(on).rindex("abseiling")


def test_a_plan_is_not_shown_for_a_clip_that_did_not_run() -> None:
    plan = Plan(Pruning("none", 0, ()), 0, "raw")
    prediction = Prediction("a/0", "a", 0, Status.FAILED, plan=plan, classes=(ClassScore("x", 0, 0.5),))
    assert cells(prediction)[4] == "-"
