"""Whether what a run has shown is as promised."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np

from benchmarks.faults.evidence import RUNNING, STATUSES, Change, Evidence, Line, Sample, Suffered, Wait
from benchmarks.faults.schedule import CLOUD, LINK, SINK, Fault

BACK_WITHIN_S = 5.0
FLAT = 0.05
NEAR_S = 15.0
ENOUGH_NEAR = 20
HERE = "device"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    name: str
    found: str
    wanted: str
    good: bool


@dataclass(frozen=True, slots=True)
class Return:
    """A camera's way back: seconds from its return to `running`, and how many of them were backoff; None
    where it never came back, or never was away."""

    fault: Suffered
    seconds: float | None
    waited_s: float = 0.0

    @property
    def own_s(self) -> float:
        """What is left without the backoff; infinite where it did not come back."""
        return float("inf") if self.seconds is None else self.seconds - self.waited_s


def doubled(records: Sequence[Mapping[str, object]]) -> int:
    """Records of clips that have another one already."""
    return len(records) - len({record["clip_id"] for record in records})


def missing(records: Sequence[Mapping[str, object]]) -> int:
    """Numbers that a source's clips pass over, from 0 to the last."""
    seqs: dict[object, set[int]] = {}
    for record in records:
        seqs.setdefault(record["source"], set()).add(int(str(record["seq"])))
    return sum(max(known) + 1 - len(known) for known in seqs.values())


def returns(suffered: Sequence[Suffered], changes: Sequence[Change], waits: Sequence[Wait]) -> list[Return]:
    """How each fault of a camera ended for the device, before the next one of that camera began."""
    found = []
    for fault in suffered:
        later = [each.began for each in suffered if each.part == fault.part and each.began > fault.began]
        until = min(later, default=float("inf"))
        own = [each for each in changes if each.source == fault.part and fault.began <= each.at < until]
        away = next((each.at for each in own if each.state != RUNNING), None)
        back = None if away is None else _back_at(own, max(away, fault.over))
        if back is None:
            found.append(Return(fault, None))
            continue
        mine = [wait.within(fault.over, back) for wait in waits if wait.source == fault.part]
        found.append(Return(fault, max(back - fault.over, 0.0), sum(mine)))
    return found


def _back_at(changes: Sequence[Change], since: float) -> float | None:
    """When the source ran, at `since` or later."""
    before = [each.state for each in changes if each.at <= since]
    if before and before[-1] == RUNNING:
        return since
    return next((each.at for each in changes if each.at > since and each.state == RUNNING), None)


def needless(lines: Sequence[Line]) -> list[Line]:
    """Late clips that the device alone would have made.

    A clip that ran wholly on the device has shown what the device alone makes of it. As for any other: alone,
    the device would have begun it when its plan was made, after the work that lay before it then, and taken
    what clips that ran wholly on it took at that time (the 95th percentile, wait excluded, of those whose
    records came within NEAR_S of this one's, or of the whole run where these are fewer than ENOUGH_NEAR). It
    would have made the clip if that fits what was left until the deadline.
    """
    alone = [(line.at, _own_ms(line)) for line in lines if _ran(line) == HERE]
    late = [line for line in lines if line.record["status"] == "late" and _ran(line) != HERE]
    return [line for line in late if _left_ms(line) >= _alone_ms(alone, line.at)]


def _alone_ms(alone: Sequence[tuple[float, float]], at: float) -> float:
    near = [ms for when, ms in alone if abs(when - at) <= NEAR_S]
    known = near if len(near) >= ENOUGH_NEAR else [ms for _, ms in alone]
    return float(np.percentile(known, 95)) if known else 0.0


def _own_ms(line: Line) -> float:
    parts = line.record["latency_ms"]
    return float(parts["total"]) - float(parts["wait"])


def _left_ms(line: Line) -> float:
    """Until the deadline, from when the plan was made and the device had done what came before."""
    wait_ms = line.record.get("expected_parts_ms", {}).get("wait") or 0.0
    return float(line.record.get("budget_ms") or 0.0) - float(wait_ms)


def _ran(line: Line) -> str | None:
    plan = line.record["plan"]
    return None if plan is None else plan["ran"]


def growth(samples: Sequence[Sample], value: Callable[[Sample], float]) -> tuple[float, float]:
    """The mean of the first third of the samples, and of the last."""
    third = max(len(samples) // 3, 1)
    return mean(map(value, samples[:third])), mean(map(value, samples[-third:]))


def figures(evidence: Evidence, wanted: Sequence[Fault]) -> list[Figure]:
    """The whole table."""
    return [
        *_of_faults(evidence, wanted),
        *_of_records(evidence),
        *_of_cameras(evidence),
        *_of_promise(evidence),
        *_of_memory(evidence),
        _exactly("exit status after SIGTERM", evidence.exit_status, 0),
        _exactly("tracebacks in the logs", evidence.tracebacks, 0),
        _exactly("secrets in logs and records", evidence.leaks, 0),
    ]


def _of_faults(evidence: Evidence, wanted: Sequence[Fault]) -> list[Figure]:
    asked = Counter((fault.part, fault.kind) for fault in wanted)
    happened = Counter((fault.part, fault.kind) for fault in evidence.suffered)
    return [_exactly("faults that happened", f"{happened.total()}", f"{asked.total()}", asked == happened)]


def _of_records(evidence: Evidence) -> list[Figure]:
    records = evidence.records
    counts = Counter(str(record["status"]) for record in records)
    ids = {str(record["clip_id"]) for record in records}
    twice = evidence.arrived.total() - len(evidence.arrived)
    return [
        _exactly("clips with a second record", doubled(records), 0),
        _exactly("numbers of clips without a record", missing(records), 0),
        _exactly("records in the results", _told(counts), f"as the device counts: {_told(evidence.totals)}",
                 counts.total() > 0 and +counts == +Counter(evidence.totals)),
        Figure("admitted, just before the end", f"{evidence.counted}", f"at most {len(records)}",
               0 < evidence.counted <= len(records)),
        _exactly("records that the webhook lacks", len(ids - evidence.arrived.keys() - evidence.spooled), 0),
        Figure("records that it got twice", f"{twice}", "any", True),
        _exactly("failed clips", counts["failed"], 0),
    ]  # fmt: skip


def _told(counts: Mapping[str, int]) -> str:
    told = ", ".join(f"{counts.get(status, 0)} {status}" for status in STATUSES)
    return f"{sum(counts.values())}: {told}"


def _of_cameras(evidence: Evidence) -> list[Figure]:
    of_cameras = [each for each in evidence.suffered if each.part not in (CLOUD, LINK, SINK)]
    if not of_cameras:
        return []
    found = returns(of_cameras, evidence.changes, evidence.waits)
    came = [each for each in found if each.seconds is not None]
    own = [each.own_s for each in found]
    p50, p95 = np.percentile(own, (50, 95), method="higher")
    return [
        _exactly("camera faults not felt, or without a return", len(found) - len(came), 0),
        Figure("camera back after its return, less backoff: p50, p95, max",
               f"{p50:.2f}, {p95:.2f}, {max(own):.2f} s", f"at most {BACK_WITHIN_S:g} s",
               max(own) <= BACK_WITHIN_S),
    ]  # fmt: skip


def _of_promise(evidence: Evidence) -> list[Figure]:
    late = [line for line in evidence.lines if line.record["status"] == "late"]
    where = Counter(_ran(line) for line in late)
    told = f"{len(late)}" + "".join(f", {count} {ran}" for ran, count in where.most_common())
    return [
        Figure("late clips", told, "any", True),
        _exactly("late clips that device-only would have made", len(needless(evidence.lines)), 0),
    ]


def _of_memory(evidence: Evidence) -> list[Figure]:
    samples = [each for each in evidence.samples if evidence.calm <= each.at < evidence.ended]
    if not samples:
        return [Figure("samples of the device", "0", "one a second", False)]
    sorts: dict[str, Callable[[Sample], float]] = {
        "memory, MB": lambda each: each.rss_mb,
        "threads": lambda each: each.threads,
        "open files": lambda each: each.files,
    }
    return [_flat(name, *growth(samples, value)) for name, value in sorts.items()]


def _flat(name: str, first: float, last: float) -> Figure:
    moved = last / first - 1
    found = f"{first:.1f}, {last:.1f}: {moved:+.1%}"
    return Figure(f"{name}: first third, last third", found, f"within {FLAT:.0%}", abs(moved) <= FLAT)


def _exactly(name: str, found: object, wanted: object, good: bool | None = None) -> Figure:
    return Figure(name, f"{found}", f"{wanted}", found == wanted if good is None else good)
