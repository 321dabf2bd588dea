"""The figure of an evaluation: accuracy against work and against bytes, with the front drawn."""

from collections.abc import Callable, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from commands.evaluation.summary import Row, Summary

Cost = Callable[[Row], float]


def accuracy_figure(summary: Summary, title: str) -> go.Figure:
    """Left: prunings with nothing encoded, against their work. Right: every codec, against its bytes."""
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.05)
    _panel(figure, 1, [row for row in summary.rows if row.codec is None], lambda row: row.work * 100)
    for kind in ("tokens", "pixels"):
        rows = [row for row in summary.rows if row.kind == kind]
        _panel(figure, 2, rows, lambda row: row.num_bytes / 1000, kind)
    figure.update_xaxes(title_text="work, % of the unmerged model's", row=1, col=1)
    figure.update_xaxes(title_text="KB a clip", type="log", row=1, col=2)
    figure.update_yaxes(title_text=f"{summary.measure}, %", row=1, col=1)
    figure.update_layout(title_text=title, template="plotly_white", height=560)
    return figure


def front(rows: Sequence[Row], cost: Cost) -> list[Row]:
    """The rows that no other one equals or beats in accuracy at the same cost or less, cheapest first."""
    found: list[Row] = []
    for row in sorted(rows, key=lambda row: (cost(row), -row.accuracy)):
        if not found or row.accuracy > found[-1].accuracy:
            found.append(row)
    return found


def _panel(figure: go.Figure, column: int, rows: Sequence[Row], cost: Cost, kind: str = "nothing") -> None:
    if not rows:
        return
    best = front(rows, cost)
    figure.add_scatter(
        x=[cost(row) for row in rows],
        y=[row.accuracy * 100 for row in rows],
        mode="markers",
        name=f"{kind} encoded",
        text=[_name(row) for row in rows],
        row=1,
        col=column,
    )
    figure.add_scatter(
        x=[cost(row) for row in best],
        y=[row.accuracy * 100 for row in best],
        mode="lines",
        line_shape="hv",
        name=f"front, {kind} encoded",
        row=1,
        col=column,
    )


def _name(row: Row) -> str:
    return f"{row.pruning}" if row.codec is None else f"{row.pruning}, {row.codec}"
