"""The tables of a run, and its figures for other programs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.faults.checks import Figure, Return, returns
from benchmarks.faults.evidence import Evidence, Suffered
from benchmarks.faults.schedule import CLOUD, LINK, SINK

CAMERAS = "cameras"
SAMPLES_APART = 10


def figures_table(found: Sequence[Figure], title: str) -> Table:
    """Figure, found, wanted; what is not as wanted is marked."""
    table = Table("figure", "found", "wanted", title=title)
    for figure in found:
        table.add_row(figure.name, figure.found if figure.good else f"{figure.found} (!)", figure.wanted)
    return table


def faults_table(evidence: Evidence) -> Table:
    """Faults by kind: how many, how long, and how soon cameras were back."""
    table = Table("part", "fault", "number", "lasted, s", "back, s: p50, max", "less backoff", title="faults")
    back = returns(_of_cameras(evidence), evidence.changes, evidence.waits)
    for part, kind in _kinds(evidence):
        own = [each for each in evidence.suffered if (_group(each), each.kind) == (part, kind)]
        lasted = f"{sum(each.over - each.began for each in own):.0f}"
        came = [each for each in back if part == CAMERAS and each.fault.kind == kind]
        table.add_row(part, kind, f"{len(own)}", lasted, *_spans(came))
    return table


def as_json(evidence: Evidence, found: Sequence[Figure]) -> dict[str, Any]:
    """The figures, the faults and the cameras' returns."""
    back = returns(_of_cameras(evidence), evidence.changes, evidence.waits)
    return {
        "good": all(figure.good for figure in found),
        "figures": [asdict(figure) for figure in found],
        "faults": [asdict(fault) for fault in evidence.suffered],
        "returns": [asdict(each) for each in back],
        "samples": [asdict(each) for each in evidence.samples[::SAMPLES_APART]],
        "late": [line.record | {"at": line.at} for line in evidence.lines if line.record["status"] == "late"],
    }


def _spans(came: Sequence[Return]) -> tuple[str, str]:
    seconds = [each.seconds for each in came if each.seconds is not None]
    own = [each.own_s for each in came if each.seconds is not None]
    if not seconds:
        return "", ""
    return f"{np.median(seconds):.2f}, {max(seconds):.2f}", f"{np.median(own):.2f}, {max(own):.2f}"


def _of_cameras(evidence: Evidence) -> list[Suffered]:
    return [each for each in evidence.suffered if _group(each) == CAMERAS]


def _kinds(evidence: Evidence) -> list[tuple[str, str]]:
    return sorted({(_group(each), each.kind) for each in evidence.suffered})


def _group(fault: Suffered) -> str:
    return fault.part if fault.part in (CLOUD, LINK, SINK) else CAMERAS
