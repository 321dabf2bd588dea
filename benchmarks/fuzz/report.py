"""What became of the cloud and of the healthy device, as tables."""

from collections import Counter
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

from rich.table import Table

WANTED_RATIO = 1.2
WANTED_MS = 50.0
MEGABYTE = 1e6


@dataclass
class Findings:
    """All phases of one run: the healthy device's, with its cloud in quiet, another cloud beside it attacked,
    and its own, in turn; and the attackers' own."""

    quiet: list[dict[str, Any]] = field(default_factory=list)
    beside: list[dict[str, Any]] = field(default_factory=list)
    attacked: list[dict[str, Any]] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)
    attacked_s: float = 0.0
    processor_s: float = 0.0
    memory_mb: list[float] = field(default_factory=list)
    most_mb: float = 0.0
    costs: dict[str, float] = field(default_factory=dict)
    status: int = 0
    tracebacks: int = 0
    log_lines: int = 0

    @property
    def outcomes(self) -> Counter[str]:
        """How often each answer came to a damaged message."""
        return sum((Counter(report["outcomes"]) for report in self.reports), Counter())

    @property
    def unanswered(self) -> int:
        return sum(count for outcome, count in self.outcomes.items() if "NO ANSWER" in outcome)

    @property
    def good(self) -> bool:
        """Whether the cloud lives, has answered everything, and the healthy device rightly."""
        hurt = sum(phase["wrong"] + phase["losses"] for phase in [*self.quiet, *self.beside, *self.attacked])
        dear = self.costs["slowest_ms"] > WANTED_MS or self.costs["most_beyond_bytes"] > 0
        return not (self.status or self.tracebacks or self.unanswered or hurt or dear)


def figures_table(found: Findings) -> Table:
    """What was found beside what is wanted."""
    title = f"{found.outcomes.total()} damaged messages in {found.attacked_s:.0f} s"
    table = Table("figure", "found", "wanted", title=title)
    table.add_row("exit status of the cloud, tracebacks", f"{found.status}, {found.tracebacks}", "0, 0")
    table.add_row("messages without an answer", f"{found.unanswered}", "0")
    table.add_row("lines in the cloud's log", f"{found.log_lines}", "")
    table.add_row("its memory before, and after each round", _megabytes(found.memory_mb), "")
    table.add_row("its memory at most", f"{found.most_mb:.0f} MB", "")
    table.add_row("its processor time, of one", f"{found.processor_s / found.attacked_s:.2f}", "")
    costs, beyond_mb = found.costs, found.costs["most_beyond_bytes"] / MEGABYTE
    alone = f"dearest of {costs['messages']} by themselves"
    table.add_row(f"{alone}: time", f"{costs['slowest_ms']:.1f} ms", f"<= {WANTED_MS:.0f} ms")
    table.add_row(f"{alone}: memory beyond twice its size", f"{beyond_mb:.1f} MB", "0")
    for name, phases in (
        ("quiet", found.quiet),
        ("another attacked", found.beside),
        ("attacked", found.attacked),
    ):
        clips, probes = _all(phases, "clips_ms"), _all(phases, "probes_ms")
        table.add_row(f"healthy, {name}: a clip p50, p95, p99", _percentiles(clips), f"{len(clips)} clips")
        table.add_row(
            f"healthy, {name}: a probe p50, p95, p99, most", f"{_percentiles(probes)}, {max(probes):.0f}", ""
        )
    quiet_ms, beside_ms, attacked_ms = (
        median(_all(phases, "clips_ms")) for phases in (found.quiet, found.beside, found.attacked)
    )
    table.add_row(
        "healthy: a clip, attacked against quiet", f"{attacked_ms / quiet_ms:.2f}", f"<= {WANTED_RATIO}"
    )
    table.add_row("healthy: a clip, attacked against another attacked", f"{attacked_ms / beside_ms:.2f}", "")
    phases = [*found.quiet, *found.beside, *found.attacked]
    wrong, losses = (sum(phase[key] for phase in phases) for key in ("wrong", "losses"))
    table.add_row("healthy: wrong answers, lost links", f"{wrong}, {losses}", "0, 0")
    return table


def outcomes_table(found: Findings) -> Table:
    """What came back."""
    table = Table("said, and what came back", "messages")
    for outcome, count in sorted(found.outcomes.items()):
        table.add_row(outcome, f"{count}")
    return table


def _megabytes(values: list[float]) -> str:
    return f"{', '.join(f'{value:.0f}' for value in values)} MB"


def _all(phases: list[dict[str, Any]], key: str) -> list[float]:
    return [value for phase in phases for value in phase[key]]


def _percentiles(values: list[float]) -> str:
    cuts = quantiles(values, n=100)
    return ", ".join(f"{cuts[percent - 1]:.1f}" for percent in (50, 95, 99)) + " ms"
