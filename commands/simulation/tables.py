"""The tables of a simulation, for a terminal."""

from collections.abc import Sequence
from itertools import groupby

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from commands.simulation.comparison import Cell, Gain
from scheduling.simulation.metrics import Row

COLOURS = {"in": "green", "above": "cyan", "below": "yellow", "none": "dim"}
COLUMNS = (
    "policy",
    "codecs",
    "clips",
    "late %",
    "clips/s",
    "mean ms",
    "p99 ms",
    "off %",
    "pruning",
    "tokens %",
    "split",
    "KB",
    "level",
    "rescued",
)


def task_tables(rows: Sequence[Row]) -> list[Table]:
    """One table a task, its groups one below the other."""
    return [_task_table(task, list(found)) for task, found in groupby(rows, key=lambda row: row.task)]


def ranges_table(cells: Sequence[Cell]) -> Table:
    """janus against each baseline, and whether that lies in the paper's range."""
    columns = ("task", "group", "codecs", "against", "throughput", "paper", "", "fewer late", "paper", "")
    table = _table("janus against the paper's ranges", columns)
    for cell in cells:
        throughput, avoided = cell.throughput_range, cell.avoided_range
        table.add_row(
            escape(cell.task),
            escape(cell.group),
            cell.pixels,
            cell.baseline,
            f"{cell.throughput:.2f}x",
            f"{throughput[0]:.2f} to {throughput[1]:.2f}x",
            _coloured(cell.throughput_place),
            "none late" if cell.avoided is None else f"{cell.avoided:.1%}",
            f"{avoided[0]:.1%} to {avoided[1]:.1%}",
            _coloured(cell.avoided_place),
        )
    return table


def gains_table(found: Sequence[Gain]) -> Table:
    """janus+ against janus with the paper's codecs and against the oracle; the last column names what
    falls short of: 0.1 % late, twice the throughput, no lower level, 1.1 times the oracle's latency."""
    columns = ("task", "group", "policy", "late %", "of janus's clips/s", "level", "janus's", "of oracle ms")
    table = _table("janus+ against janus and the oracle", (*columns, "falls short in"))
    for gain in found:
        table.add_row(
            escape(gain.task),
            escape(gain.group),
            gain.policy,
            f"{gain.violation_ratio * 100:.2f}",
            f"{gain.speedup:.2f}x",
            _level(gain.level),
            _level(gain.janus_level),
            f"{gain.over_oracle:.3f}x",
            "[yellow]" + ", ".join(gain.misses) + "[/]" if gain.misses else "[green]nothing[/]",
        )
    return table


def _task_table(task: str, rows: Sequence[Row]) -> Table:
    table = _table(f"task {escape(task)}", COLUMNS)
    for group, found in groupby(rows, key=lambda row: row.group):
        table.add_row(f"[bold]{escape(group)}[/]")
        for row in found:
            table.add_row(*_cells(row))
        table.add_section()
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    """Without lines between columns, so that a table fits a terminal; names are never cut."""
    table = Table(title=title, box=SIMPLE_HEAD, collapse_padding=True)
    for column in columns:
        table.add_column(column, no_wrap=column in ("task", "group", "policy"))
    return table


def _cells(row: Row) -> list[str]:
    return [
        row.policy,
        row.pixels,
        str(row.clips),
        f"{row.violation_ratio * 100:.2f}",
        f"{row.throughput:.2f}",
        f"{row.latency_mean_ms:.1f}",
        f"{row.latency_p99_ms:.1f}",
        f"{row.latency_deviation * 100:.1f}",
        f"{row.mean_pruning:.3f}",
        f"{row.tokens_kept * 100:.1f}",
        f"{row.mean_split:.1f}",
        f"{row.bytes_per_clip / 1000:.0f}",
        _level(row.accuracy_level),
        f"{row.rescued_ratio * 100:.2f} %",
    ]


def _level(level: float | None) -> str:
    return "-" if level is None else f"{level:.3f}"


def _coloured(place: str) -> str:
    return f"[{COLOURS[place]}]{place}[/]"
