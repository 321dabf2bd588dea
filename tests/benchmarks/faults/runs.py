"""What runs leave behind, made up."""

from collections import Counter
from typing import Any

from benchmarks.faults.evidence import Change, Evidence, Line, Sample, Suffered, Wait
from benchmarks.faults.schedule import CLOUD, KILL, Fault

SLA_MS = 600.0


def record(seq: int, status: str = "ok", ran: str | None = "device", **rest: Any) -> dict[str, Any]:
    source = rest.pop("source", "camera-1")
    return {
        "clip_id": f"{source}/{seq:06d}",
        "source": source,
        "seq": seq,
        "status": status,
        "plan": None if ran is None else {"ran": ran},
        "latency_ms": {"wait": 10.0, "head": 90.0, "total": 100.0},
        "budget_ms": 500.0,
        "expected_parts_ms": {"wait": 0.0},
    } | rest


def late(seq: int, ran: str, budget_ms: float, wait_ms: float = 0.0) -> dict[str, Any]:
    return record(seq, "late", ran, budget_ms=budget_ms, expected_parts_ms={"wait": wait_ms})


def good_run() -> Evidence:
    """Ten clips, a kill, a camera that broke off and came back: all is well."""
    records = [record(seq) for seq in range(10)]
    return Evidence(
        calm=100.0,
        ended=400.0,
        lines=[Line(each, 100.0 + each["seq"]) for each in records],
        suffered=[Suffered(CLOUD, KILL, 150.0, 155.0), Suffered("camera-1", "down", 200.0, 205.0)],
        changes=[
            Change(90.0, "camera-1", "running"),
            Change(200.1, "camera-1", "reconnecting"),
            Change(208.0, "camera-1", "running"),
        ],
        waits=[Wait(204.0, "camera-1", 3.0)],
        samples=[Sample(100.0 + second, 500.0, 20, 30, 0) for second in range(300)],
        totals={"ok": 10, "late": 0, "dropped": 0, "failed": 0},
        counted=10,
        arrived=Counter(each["clip_id"] for each in records),
        exit_status=0,
    )


WANTED = (Fault(CLOUD, KILL, 50.0, 5.0), Fault("camera-1", "down", 100.0, 5.0))
