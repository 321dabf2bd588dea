"""The demo: a cloud and a device process, moving pictures, and what became of each clip."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from anyio.from_thread import start_blocking_portal
from rich.console import Console
from rich.table import Table

from commands.children import CLOUD_URL, Children
from commands.outputs import make_room
from commands.runtime import OK, SOME_FAILED
from pipeline.energy.total import EnergyTotal
from pipeline.errors import JanusError
from pipeline.items import Pixels, Status
from scheduling.traces import generate_lte
from sources.motions import motion_sequence
from sources.writer import write_video
from transport.emulation import emulated_link

CLIP_FRAMES = 16
PATTERN_FPS = 48
SAMPLE_FPS = 25
SAMPLE_CLIPS = 16
SAMPLE_SIZE = 128
SLA_MS = 250.0
SLOWDOWN = 5.0
LINK_MBPS = 12.0
LINK_SECONDS = 600.0


@dataclass(slots=True)
class Summary:
    """What the demo saw, clip by clip."""

    correct: int = 0
    sent_bytes: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    ran: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    plans: Counter[str] = field(default_factory=Counter)
    energy: EnergyTotal = field(default_factory=EnergyTotal)
    model: str = ""

    def add(self, record: dict[str, Any], truth: str) -> bool:
        """Count one record; returns whether its best class is the truth."""
        right = _best(record) == truth
        self.correct += right
        self.sent_bytes += record.get("bytes", 0)
        self.latencies_ms.append(record["latency_ms"]["total"])
        self.statuses[record["status"]] += 1
        self.model = record["model"]
        self.energy.add(record.get("energy_j"))
        if plan := record["plan"]:
            self.ran[plan["ran"]] += 1
            self.plans[f"{plan['pruning']}, split {plan['split']}, {plan['codec']}"] += 1
        return right

    def as_dict(self) -> dict[str, Any]:
        """The keys of the summary file; latencies in milliseconds, and joules where records have any."""
        clips = self.statuses.total()
        per_clip = self.energy.per_clip
        return {
            "clips": clips,
            "correct": self.correct,
            "accuracy": round(self.correct / clips, 4) if clips else None,
            "latency_ms": _percentiles(self.latencies_ms),
            "bytes": {
                "total": self.sent_bytes,
                "per_clip": round(self.sent_bytes / clips) if clips else None,
            },
            **({} if per_clip is None else {"joules_per_clip": round(per_clip, 3)}),
            "ran": dict(self.ran),
            "status": dict(self.statuses),
            "plans": dict(self.plans),
            "model": self.model,
        }


def run(seconds: float, seed: int, output: Path, sla_ms: float = SLA_MS, policy: str | None = None) -> int:
    """Play the pattern for `seconds` and a sample video beside it, over an emulated LTE uplink and on an
    emulated slow device; exit status 0 when clips were answered and none failed: a machine with too much
    else to do drops some or is late, and says so."""
    console = Console(highlight=False)
    summary = Summary()
    plan = ["--sla-ms", f"{sla_ms:g}", *(["--policy", policy] if policy else [])]
    make_room(output)
    with tempfile.TemporaryDirectory(prefix="janus-demo-") as folder, Children() as children:
        sample = Path(folder) / "sample.mp4"
        write_video(sample, _sample_frames(seed), SAMPLE_FPS)
        console.print("Starting a cloud process ...")
        cloud = children.start("cloud", "--port", "0")
        with _link(cloud.address(CLOUD_URL), seed) as url:
            console.print(
                f"It is reached at {url}, over an emulated LTE uplink of {LINK_MBPS:g} Mbit/s in the mean.\n"
                f"Starting a device process, emulated {SLOWDOWN:g} times slower than this machine; "
                f"it promises an answer within {sla_ms:g} ms ..."
            )
            console.print(f"[bold]{'clip':15} {'shown':17} {'taken for':17} {'sure':>4} {'latency':>7}[/]")
            for record in _device_records(children, url, (_pattern(seconds, seed), str(sample)), plan):
                truth = record.get("label") or _sample_label(seed, record["seq"])
                _show(console, record, truth, summary.add(record, truth))
    _write(console, summary, output, sla_ms)
    answered = summary.statuses[Status.OK] + summary.statuses[Status.LATE]
    return OK if answered > 0 and not summary.statuses[Status.FAILED] else SOME_FAILED


def _pattern(seconds: float, seed: int) -> str:
    clips = max(1, round(seconds * PATTERN_FPS / CLIP_FRAMES))
    return f"pattern:motions?fps={PATTERN_FPS}&seed={seed}&clips={clips}"


def _device_records(
    children: Children, url: str, sources: Sequence[str], plan: list[str]
) -> Iterator[dict[str, Any]]:
    arguments = [word for source in sources for word in ("--source", source)]
    arguments += ["--cloud", url, "--output", "-", "--strict", "--emulate-slowdown", f"{SLOWDOWN:g}", *plan]
    device = children.start("device", *arguments)
    for line in device.lines():
        yield json.loads(line)
    if device.wait() != 0:
        raise JanusError(f"the device process ended with exit status {device.status}")


@contextmanager
def _link(cloud_url: str, seed: int) -> Iterator[str]:
    """An emulated LTE uplink to the cloud, in a thread of its own; yields the URL of its near end."""
    far = urlsplit(cloud_url)
    shape = generate_lte(seed, LINK_SECONDS, mean_mbps=LINK_MBPS)
    link = emulated_link("127.0.0.1", 0, far.hostname or "127.0.0.1", far.port or 0, shape)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(link) as end:
        yield far._replace(netloc=f"{end.host}:{end.port}").geturl()


def _sample_frames(seed: int) -> Iterator[Pixels]:
    for index in range(SAMPLE_CLIPS):
        yield from motion_sequence(_sample_seed(seed), index, CLIP_FRAMES, SAMPLE_SIZE)[1]


def _sample_label(seed: int, seq: int) -> str:
    return motion_sequence(_sample_seed(seed), seq, CLIP_FRAMES, SAMPLE_SIZE)[0]


def _sample_seed(seed: int) -> int:
    return seed + 1


def _best(record: dict[str, Any]) -> str | None:
    return record["predictions"][0]["class"] if record["predictions"] else None


def _percentiles(latencies_ms: list[float]) -> dict[str, float | None]:
    if not latencies_ms:
        return {"p50": None, "p95": None, "max": None}
    p50, p95 = np.percentile(latencies_ms, [50, 95])
    return {"p50": round(float(p50), 1), "p95": round(float(p95), 1), "max": round(max(latencies_ms), 1)}


def _show(console: Console, record: dict[str, Any], truth: str, right: bool) -> None:
    mark = "[green]right[/]" if right else "[red]wrong[/]"
    confidence = f"{record['predictions'][0]['confidence']:.0%}" if record["predictions"] else "-"
    taken_for = _best(record) or record["status"]
    latency = f"{record['latency_ms']['total']:.0f} ms"
    console.print(f"{record['clip_id']:15} {truth:17} {taken_for:17} {confidence:>4} {latency:>7}  {mark}")


def _write(console: Console, summary: Summary, output: Path, sla_ms: float) -> None:
    totals = summary.as_dict()
    output.write_text(json.dumps(totals, indent=2) + "\n")
    table = Table(title="Demo", show_header=False)
    table.add_row("clips", f"{totals['clips']}, {totals['correct']} of them right")
    table.add_row("latency", "p50 {p50} ms, p95 {p95} ms".format(**totals["latency_ms"]))
    table.add_row("promise", f"{sla_ms:g} ms, {totals['status'].get(Status.LATE, 0)} clips late")
    table.add_row("link", "{total} bytes, {per_clip} a clip".format(**totals["bytes"]))
    if energy := summary.energy.told():
        table.add_row("energy", energy)
    table.add_row("plan", "; ".join(f"{plan} ({count})" for plan, count in totals["plans"].items()))
    table.add_row("ran", ", ".join(f"{where} {count}" for where, count in totals["ran"].items()))
    table.add_row("summary", str(output))
    console.print(table)
