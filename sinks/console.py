"""Predictions for a person to watch."""

from collections import Counter, deque
from threading import Lock

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.energy.total import EnergyTotal
from pipeline.items import Prediction, Status

REFRESHES_PER_S = 4
COLUMNS = ("source", "seconds", "class", "confidence", "ran", "latency")
STYLES = {Status.OK: "green", Status.LATE: "yellow", Status.DROPPED: "red", Status.FAILED: "bold red"}


class ConsoleSink:
    """On a terminal a live table of the last `rows` clips with `below` (a progress bar, say) under it,
    drawn four times a second; elsewhere one plain line for each clip. Share one `console` with
    whatever else prints."""

    def __init__(
        self, console: Console | None = None, below: RenderableType | None = None, rows: int = 12
    ) -> None:
        self._console = console or Console()
        self._below = below
        self._last: deque[Prediction] = deque(maxlen=rows)
        self._counts: Counter[Status] = Counter()
        self._labelled = 0
        self._right = 0
        self._energy = EnergyTotal()
        self._lock = Lock()
        self._live: Live | None = None

    def open(self) -> None:
        if self._console.is_terminal:
            self._live = Live(
                console=self._console, get_renderable=self._picture, refresh_per_second=REFRESHES_PER_S
            )
            self._live.start()

    def write(self, prediction: Prediction) -> None:
        with self._lock:
            self._last.append(prediction)
            self._counts[prediction.status] += 1
            self._count_label(prediction)
            self._energy.add(prediction.energy_j)
        if self._live is None:
            self._console.out("  ".join(cells(prediction)), highlight=False)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        else:
            self._console.out(self.totals(), highlight=False)

    def totals(self) -> str:
        """How many clips ended in which way, how many of the labelled ones were right, and the energy."""
        ended = ", ".join(f"{self._counts[status]} {status}" for status in Status)
        right = f"; {self._right} of {self._labelled} right" if self._labelled else ""
        energy = f"; {told}" if (told := self._energy.told()) else ""
        return f"{self._counts.total()} clips: {ended}{right}{energy}"

    def _count_label(self, prediction: Prediction) -> None:
        if prediction.label is not None and prediction.classes:
            self._labelled += 1
            self._right += prediction.classes[0].name == prediction.label

    def _picture(self) -> RenderableType:
        with self._lock:
            last, totals = list(self._last), self.totals()
        table = Table(*COLUMNS, expand=True, caption=totals)
        for prediction in last:
            style = STYLES[prediction.status]
            table.add_row(*(Text(cell, style=style, overflow="ellipsis") for cell in cells(prediction)))
        return table if self._below is None else Group(table, self._below)


def cells(prediction: Prediction) -> tuple[str, ...]:
    """One clip in words: source, time, class, confidence, where it ran, latency against promise."""
    best = prediction.classes[0] if prediction.classes else None
    return (
        prediction.source,
        f"{prediction.start_s:.2f}-{prediction.end_s:.2f}",
        best.name if best else f"{prediction.status}: {prediction.reason or 'no reason given'}",
        f"{best.confidence:.0%}" if best else "-",
        _where(prediction),
        _latency(prediction),
    )


def _where(prediction: Prediction) -> str:
    if prediction.plan is None or prediction.ran is None:
        return "-"
    where = str(prediction.ran)
    return f"{where} {prediction.plan.split} {prediction.plan.codec}" if where == "split" else where


def _latency(prediction: Prediction) -> str:
    total = prediction.latency_ms.get("total")
    if total is None:
        return "-"
    promise = "" if prediction.sla_ms is None else f" of {prediction.sla_ms:.0f}"
    late = " late" if prediction.status is Status.LATE else ""
    return f"{total:.0f}{promise} ms{late}"
