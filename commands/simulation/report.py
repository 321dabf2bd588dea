"""The report of a simulation: one HTML file that holds all it needs."""

from collections.abc import Sequence
from html import escape
from statistics import fmean

import numpy as np
import plotly.graph_objects as go

from commands.simulation.contestants import BASELINES, JANUS, Entry
from commands.simulation.figures import Steady, alpha_of, bars, sensitivity, series
from scheduling.policies import JANUS_PLUS
from scheduling.simulation.metrics import Row
from scheduling.traces import Trace, sampled

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ font-family: sans-serif; max-width: 1200px; margin: 2em auto }}</style></head>
<body><h1>{title}</h1><p>{text}</p>
{figures}
</body></html>
"""
STEADY_MBPS = (*range(1, 21), *range(22, 51, 2), *range(55, 101, 5))
STEADY_SECONDS = 5


def page(title: str, text: str, figures: Sequence[go.Figure]) -> str:
    """The HTML of all figures, plotly included once."""
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=index == 0) for index, figure in enumerate(figures)
    ]
    return PAGE.format(title=escape(title), text=escape(text), figures="\n".join(parts))


def figures_of(
    entries: Sequence[Entry], rows: Sequence[Row], trace: Trace, rtt_ms: tuple[float, float]
) -> list[go.Figure]:
    """Fig. 7, 8 and 9 for each task; `rtt_ms` holds for the trace and for constant bandwidths."""
    found: list[go.Figure] = []
    for task in dict.fromkeys(entry.task.name for entry in entries):
        shown = [entry for entry in entries if entry.task.name == task and _is_in_the_paper(entry)]
        sla_ms = next(entry.task.sla_ms for entry in entries if entry.task.name == task)
        outcomes = {label(entry): entry.outcomes(trace, rtt_ms[0]) for entry in shown}
        curves = {label(entry): steady(entry, rtt_ms[1]) for entry in shown}
        found += [
            bars(task, [row for row in rows if row.task == task]),
            series(task, trace, outcomes, sla_ms),
            sensitivity(task, curves, sla_ms),
        ]
    return found


def steady(entry: Entry, rtt_ms: float) -> list[Steady]:
    """The second half of some seconds at each bandwidth, so that the estimate has settled."""
    return [_steady(entry, float(mbps), rtt_ms) for mbps in STEADY_MBPS]


def label(entry: Entry) -> str:
    """How a contestant is called in a figure."""
    return f"{entry.contestant.name} ({entry.contestant.codecs})"


def _steady(entry: Entry, mbps: float, rtt_ms: float) -> Steady:
    trace = sampled(f"{mbps:g} Mbit/s", np.full(STEADY_SECONDS, mbps), 1.0)
    outcomes = entry.outcomes(trace, rtt_ms)
    settled = outcomes[len(outcomes) // 2 :]
    return Steady(
        mbps,
        fmean(outcome.latency_ms for outcome in settled),
        fmean(alpha_of(outcome) for outcome in settled),
        fmean(outcome.plan.split for outcome in settled),
    )


def _is_in_the_paper(entry: Entry) -> bool:
    """The paper's own policies with its codecs, and janus+."""
    names = (*BASELINES, JANUS, JANUS_PLUS)
    return entry.contestant.codecs != "encoded" and entry.contestant.name in names
