"""An evaluation's tables, for a terminal."""

from itertools import groupby

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from commands.evaluation.scores import Share
from commands.evaluation.summary import Row, Summary

SHARES = ("top-1 %", "top-5 %", "same %")
PRUNING_COLUMNS = ("pruning", "left", "work", "ms", *SHARES)
CODEC_COLUMNS = ("codec", "KB", *SHARES, "by split %", "")


def prunings_table(summary: Summary, title: str) -> Table:
    """Each pruning with nothing encoded; its joules where any are known."""
    rows = [row for row in summary.rows if row.codec is None]
    shown = any(row.forward_j is not None for row in rows)
    table = _table(title, (*PRUNING_COLUMNS, "J") if shown else PRUNING_COLUMNS)
    for row in rows:
        energy = "-" if row.forward_j is None else f"{row.forward_j:.3f}"
        table.add_row(
            str(row.pruning),
            str(row.tokens),
            f"{row.work:.0%}",
            f"{row.forward_ms:.1f}",
            *map(_share, (row.top1, row.top5, row.agreement)),
            *([energy] if shown else []),
        )
    return table


def codecs_table(summary: Summary) -> Table:
    """Each pruning with each codec; a row that another one beats in accuracy, work and bytes says so."""
    splits = next((", ".join(map(str, row.by_split)) for row in summary.rows if row.kind == "tokens"), "")
    table = _table(f"With codecs{f', tokens after layer {splits}' if splits else ''}", CODEC_COLUMNS)
    for pruning, rows in groupby((row for row in summary.rows if row.codec), key=lambda row: row.pruning):
        table.add_row(f"[bold]{pruning}[/]")
        for row in rows:
            table.add_row(*_cells(row))
        table.add_section()
    return table


def _cells(row: Row) -> list[str]:
    splits = " ".join(f"{accuracy * 100:.1f}" for accuracy in row.by_split.values())
    return [
        row.codec or "",
        f"{row.num_bytes / 1000:.1f}",
        *map(_share, (row.top1, row.top5, row.agreement)),
        splits if len(row.by_split) > 1 else "",
        "[dim]beaten[/]" if row.dominated else "",
    ]


def _share(share: Share) -> str:
    """A percentage and half the width of its 95 % interval."""
    if share.value is None:
        return "-"
    low, high = share.interval
    return f"{share.value * 100:.1f} [dim]±{(high - low) * 50:.1f}[/]"


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=escape(title), box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column != "by split %")
    return table
