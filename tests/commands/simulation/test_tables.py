from rich.console import Console

from commands.simulation.comparison import against_ranges, gains
from commands.simulation.tables import gains_table, ranges_table, task_tables
from tests.commands.simulation.test_comparison import RANGES, row

ROWS = [
    row("cloud-only", 2.0, 0.4),
    row("janus", 4.5, 0.1, accuracy_level=0.5, bytes_per_clip=12_345.0),
    row("janus+", 9.0, pixels="every", accuracy_level=0.25, latency_mean_ms=3.0),
    row("oracle", 9.5, pixels="every", latency_mean_ms=2.0),
    row("janus", 7.0, group="[red]other[/]", accuracy_level=None),
    row("janus", 7.0, task="second"),
]


def text_of(*tables) -> str:
    console = Console(width=130, no_color=True)
    with console.capture() as capture:
        console.print(*tables)
    return capture.get()


def test_there_is_a_table_a_task_with_its_groups_as_they_are():
    first, second = task_tables(ROWS)
    text = text_of(first)
    assert "task t" in text and "task second" in text_of(second)
    assert "[red]other[/]" in text
    line = next(line for line in text.splitlines() if "janus " in line)
    assert line.split()[:5] == ["janus", "paper", "1.0", "10.00", "4.50"]
    assert "12" in line.split()


def test_a_level_that_nobody_knows_is_a_dash():
    assert " - " in text_of(task_tables([ROWS[4]])[0])


def test_ranges_are_beside_what_was_found():
    text = text_of(ranges_table(list(against_ranges(ROWS, RANGES))))
    line = next(line for line in text.splitlines() if "cloud-only" in line)
    assert "2.25x" in line and "1.20 to 5.15x" in line and "75.0%" in line and line.count(" in ") == 2


def test_what_falls_short_is_named():
    text = text_of(gains_table(list(gains(ROWS))))
    line = next(line for line in text.splitlines() if "janus+ " in line and "2.00x" in line)
    assert line.rstrip().endswith("level, latency")
