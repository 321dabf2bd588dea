"""The figures of a simulation: what the paper's Fig. 7, 8 and 9 show."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from scheduling.simulation import Outcome
from scheduling.simulation.metrics import Row
from scheduling.traces import Trace

COLOURS = (
    *("#4c78a8", "#f58518", "#54a24b", "#e45756", "#b279a2", "#72b7b2"),
    *("#9d755d", "#ff9da6", "#eeca3b", "#9ecae9", "#666666"),
)
PANEL_PX = 230


@dataclass(frozen=True, slots=True)
class Steady:
    """What one contestant does at a bandwidth that never changes: means over its clips."""

    mbps: float
    latency_ms: float
    alpha: float
    split: float


def alpha_of(outcome: Outcome) -> float:
    """Janus's declining rate; nan for a pruning of another rule, which has none."""
    pruning = outcome.plan.pruning
    return pruning.parameter if pruning.name in ("none", "exponential") else float("nan")


PANELS: tuple[Callable[[Outcome], float], ...] = (
    lambda outcome: float(outcome.plan.split),
    alpha_of,
    lambda outcome: outcome.latency_ms,
)


def bars(task: str, rows: Sequence[Row]) -> go.Figure:
    """Fig. 7: violation ratio and throughput of every policy, by group."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    for index, (name, found) in enumerate(_by_contestant(rows).items()):
        groups = [row.group for row in found]
        style = {"name": name, "legendgroup": name, "marker_color": _colour(index)}
        late = [row.violation_ratio * 100 for row in found]
        figure.add_bar(x=groups, y=late, row=1, col=1, **style)
        rate = [row.throughput for row in found]
        figure.add_bar(x=groups, y=rate, row=2, col=1, showlegend=False, **style)
    return _titled(figure, f"Fig. 7, {task}: late clips and throughput", ("late %", "clips/s"))


def series(task: str, trace: Trace, outcomes: Mapping[str, Sequence[Outcome]], sla_ms: float) -> go.Figure:
    """Fig. 8: bandwidth, chosen split, pruning, and latency against the promise, over one trace."""
    figure = make_subplots(rows=4, cols=1, shared_xaxes=True, vertical_spacing=0.04)
    link = {"x": trace.times_s, "y": trace.mbps, "line_color": "#888888", "line_shape": "hv"}
    figure.add_scatter(**link, name="bandwidth", row=1, col=1)
    for index, (name, found) in enumerate(outcomes.items()):
        times = np.array([outcome.ready_s for outcome in found])
        style = {"name": name, "legendgroup": name, "mode": "lines", "line_shape": "hv"}
        for panel, value in enumerate(PANELS):
            values = np.array([value(outcome) for outcome in found], np.float32)
            figure.add_scatter(
                x=times,
                y=values,
                row=panel + 2,
                col=1,
                showlegend=panel == 0,
                line_color=_colour(index),
                **style,
            )
    figure.add_hline(y=sla_ms, line_dash="dash", row=4, col=1)
    figure.update_xaxes(title_text="s", row=4, col=1)
    return _titled(figure, f"Fig. 8, {task}: {trace.name}", ("Mbit/s", "split", "alpha", "ms"))


def sensitivity(task: str, curves: Mapping[str, Sequence[Steady]], sla_ms: float) -> go.Figure:
    """Fig. 9: latency, alpha and split against a bandwidth that never changes."""
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.05)
    for index, (name, points) in enumerate(curves.items()):
        mbps = [point.mbps for point in points]
        panels = (
            [point.latency_ms for point in points],
            [point.alpha for point in points],
            [point.split for point in points],
        )
        style = {"name": name, "legendgroup": name, "line_color": _colour(index)}
        for panel, values in enumerate(panels):
            figure.add_scatter(x=mbps, y=values, row=panel + 1, col=1, showlegend=panel == 0, **style)
    figure.add_hline(y=sla_ms, line_dash="dash", row=1, col=1)
    figure.update_yaxes(type="log", row=1, col=1)
    figure.update_xaxes(title_text="Mbit/s", row=3, col=1)
    return _titled(figure, f"Fig. 9, {task}: against a constant bandwidth", ("ms", "alpha", "split"))


def _by_contestant(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(f"{row.policy} ({row.pixels})", []).append(row)
    return found


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _titled(figure: go.Figure, title: str, axes: Sequence[str]) -> go.Figure:
    for row, label in enumerate(axes, start=1):
        figure.update_yaxes(title_text=label, row=row, col=1)
    figure.update_layout(
        title_text=title, template="plotly_white", height=100 + PANEL_PX * len(axes), barmode="group"
    )
    return figure
