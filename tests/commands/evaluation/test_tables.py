from rich.console import Console

from commands.evaluation.tables import codecs_table, prunings_table
from tests.commands.evaluation.rows import a_summary


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
