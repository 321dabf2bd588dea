from rich.console import Console

from commands.evaluation.summary import summarise
from commands.evaluation.tables import codecs_table, prunings_table
from tests.commands.evaluation.rows import HEAVY, LIGHT, MS, SCORES, a_summary


def test_tables_say_what_was_measured_and_how_far_to_trust_it():
    summary = a_summary()
    console = Console(width=200, record=True, file=None, force_terminal=False)
    with console.capture() as shown:
        console.print(prunings_table(summary, "motions"), codecs_table(summary))
    text = shown.get()
    for part in (
        "96.0 ±4.1",
        "uniform:6",
        "6.0",
        "94.0 90.0",
        "tokens after layer 3, 9",
        "beaten",
        "jpeg:90",
        "20.0",
    ):
        assert part in text, part


def test_joules_are_a_column_where_they_are_known_and_none_where_not():
    known = prunings_table(summarise(SCORES, MS, 129, {HEAVY: 0.75}), "motions")
    assert known.columns[-1].header == "J"
    assert list(known.columns[-1].cells) == ["-", "0.750"]
    assert [str(pruning) for pruning in (LIGHT, HEAVY)] == list(known.columns[0].cells)
    assert "J" not in [column.header for column in prunings_table(a_summary(), "motions").columns]
