"""More clips than a device and its cloud can serve: what is served in time, and what becomes of the rest.

    python -m benchmarks.overload [--minutes 10] [--factor 2] [--sla-ms 600] [--slowdown 5] [--mbps 12]

Real processes: a cloud, an emulated link, and a device that is emulated to be slower and watches live
patterns. First it is offered more and more, 30 s each, until it drops a tenth: the most that it has served is
its capacity. Then `factor` times that, for `minutes`. Exit status 1 if the p99 of what is served breaks the
promise, or a clip that was not served has another end than `dropped`.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.resident import memory_mb
from commands.children import CLOUD_URL, Children
from commands.live import LINK_ADDRESS
from pipeline.energy.total import EnergyTotal

SOURCES = 4
CLIP_FRAMES = 16
FIRST_CLIPS_PER_S = 8.0
STEP = 1.4
STEP_S = 30.0
ENOUGH = 0.9
WARM_UP_S = 10.0
LOOK_S = 1.0
SERVED = ("ok", "late")
console = Console(width=110)


@dataclass(frozen=True, slots=True)
class Setting:
    """What both phases share."""

    near_url: str
    sla_ms: float
    slowdown: float


@dataclass(frozen=True, slots=True)
class Offered:
    """One phase: what came out of so many clips a second, and the device's memory, every second."""

    clips_per_s: float
    seconds: float
    records: list[dict[str, Any]]
    memory_mb: list[float]
    status: int

    @property
    def served(self) -> list[dict[str, Any]]:
        return [record for record in self.records if record["status"] in SERVED]

    @property
    def served_per_s(self) -> float:
        """Clips a second that were served, but for the first seconds."""
        return sum(_at_s(record) > WARM_UP_S for record in self.served) / (self.seconds - WARM_UP_S)


def offer(children: Children, to: Setting, clips_per_s: float, seconds: float, folder: Path) -> Offered:
    """Show a new device so many clips a second."""
    output = folder / f"{clips_per_s:.1f}.jsonl"
    fps = clips_per_s * CLIP_FRAMES / SOURCES
    words = ["--cloud", to.near_url, "--sla-ms", f"{to.sla_ms:g}", "--output", str(output)]
    words += ["--emulate-slowdown", f"{to.slowdown:g}"]
    for number in range(SOURCES):
        words += ["--source", f"p{number}=pattern:motions?fps={fps:.3f}&seed={number}"]
    device = children.start("device", *words)
    memories_mb = []
    while device.status is None and (not output.exists() or output.stat().st_size == 0):
        time.sleep(LOOK_S / 10)
    until = time.monotonic() + seconds
    while time.monotonic() < until and (now_mb := memory_mb(device.pid)) is not None:
        memories_mb.append(now_mb)
        time.sleep(LOOK_S)
    device.end(grace_s=30)
    records = [json.loads(line) for line in output.read_text().splitlines()]
    return Offered(clips_per_s, seconds, records, memories_mb, device.status or 0)


def find_capacity(children: Children, to: Setting, folder: Path) -> float:
    """The most clips a second that a device has served."""
    offered, most = FIRST_CLIPS_PER_S, 0.0
    while True:
        served = offer(children, to, offered, STEP_S, folder).served_per_s
        console.print(f"offered {offered:.1f} clips/s, served {served:.1f}")
        most = max(most, served)
        if served < ENOUGH * offered:
            return most
        offered *= STEP


def percentiles(records: list[dict[str, Any]]) -> str:
    total_ms = [record["latency_ms"]["total"] for record in records]
    return ", ".join(f"{value:.0f}" for value in np.percentile(total_ms, (50, 95, 99, 100))) + " ms"


def by_minute(records: list[dict[str, Any]]) -> str:
    """p99 of each whole minute."""
    minutes: dict[int, list[float]] = {}
    for record in records:
        minutes.setdefault(int(_at_s(record) // 60), []).append(record["latency_ms"]["total"])
    return ", ".join(f"{np.percentile(values, 99):.0f}" for _, values in sorted(minutes.items())) + " ms"


def ends(records: list[dict[str, Any]]) -> str:
    """How many clips had which end; of a late one not how late it was."""
    counts = Counter(
        (record["status"], "" if record["status"] in SERVED else record["reason"]) for record in records
    )
    return "\n".join(f"{count} {status} {reason}" for (status, reason), count in counts.most_common())


def waits(records: list[dict[str, Any]]) -> str:
    """How long clips waited for the model, at the median, and how long they were expected to."""
    if not records:
        return "-"
    found = np.median([record["latency_ms"]["wait"] for record in records])
    expected = np.median([record["expected_parts_ms"].get("wait", 0.0) for record in records])
    return f"{found:.0f} ms, expected {expected:.0f} ms"


def rescued(records: list[dict[str, Any]]) -> str:
    return f"{sum(record['plan']['ran'] == 'rescue' for record in records)} of {len(records)}"


def show(capacity: float, load: Offered, sla_ms: float) -> None:
    """Print what was found beside what is wanted."""
    table = Table(
        "figure", "found", "wanted", title=f"{load.clips_per_s:.1f} clips/s for {load.seconds:.0f} s"
    )
    table.add_row("capacity: the most that was served before, or given", f"{capacity:.1f} clips/s", "")
    table.add_row("served of what is offered", f"{load.served_per_s:.1f} clips/s", "")
    table.add_row("latency served: p50, p95, p99, most", percentiles(load.served), f"p99 <= {sla_ms:g} ms")
    table.add_row("p99 of each minute", by_minute(load.served), f"<= {sla_ms:g} ms")
    table.add_row("ends", ends(load.records), "ok, or dropped")
    late = [record for record in load.served if record["status"] == "late"]
    table.add_row("wait of late clips, at the median", waits(late), "")
    of_all = f"{rescued(load.served)}, {rescued(late)}"
    table.add_row("finished by rescue: served, late", of_all, "")
    third = len(load.memory_mb) // 3
    first, last = np.mean(load.memory_mb[:third]), np.mean(load.memory_mb[-third:])
    table.add_row("device's memory, first and last third", f"{first:.0f}, {last:.0f} MB", "flat")
    if told := EnergyTotal.of(record.get("energy_j") for record in load.records).told():
        table.add_row("energy, of all processes on this machine", told, "")
    table.add_row("exit status after SIGTERM", f"{load.status}", "0")
    console.print(table)


def good(load: Offered, sla_ms: float) -> bool:
    p99_ms = np.percentile([record["latency_ms"]["total"] for record in load.served], 99)
    others = {record["status"] for record in load.records} - {*SERVED, "dropped"}
    return bool(p99_ms <= sla_ms and not others and load.status == 0)


def _at_s(record: dict[str, Any]) -> float:
    return float(record["end_s"])


def main(
    minutes: Annotated[float, typer.Option(help="How long the overload lasts.")] = 10.0,
    factor: Annotated[float, typer.Option(help="How much more than can be served.")] = 2.0,
    sla_ms: Annotated[float, typer.Option(help="The promise.")] = 600.0,
    slowdown: Annotated[float, typer.Option(help="The emulated device's factor.")] = 5.0,
    mbps: Annotated[float, typer.Option(help="The emulated link's rate.")] = 12.0,
    known: Annotated[
        float | None, typer.Option("--capacity", help="Clips a second that it serves, where that is known.")
    ] = None,
) -> None:
    with tempfile.TemporaryDirectory(prefix="janus-overload-") as name, Children() as children:
        folder = Path(name)
        cloud = children.start("cloud", "--port", "0")
        far = urlsplit(cloud.address(CLOUD_URL))
        link = children.start("link", "--listen", "127.0.0.1:0", "--to", far.netloc, "--mbps", f"{mbps:g}")
        near_url = far._replace(netloc=link.address(LINK_ADDRESS)).geturl()
        to = Setting(near_url, sla_ms, slowdown)
        capacity = known or find_capacity(children, to, folder)
        load = offer(children, to, factor * capacity, 60 * minutes, folder)
    show(capacity, load, sla_ms)
    sys.exit(0 if good(load, sla_ms) else 1)


if __name__ == "__main__":
    typer.run(main)
