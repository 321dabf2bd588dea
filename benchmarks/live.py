"""The policies on the wire: real processes, real images, an emulated link that follows a recorded trace.

    python -m benchmarks.live --images FOLDER --weights FILE --trace FILE:RUN [--clips 300] [--slowdown 8]

The images become a video of one frame a clip. For each policy a cloud, a link and a device process
start anew, and the same clips go through them one at a time, each over the trace from its beginning.
The device is emulated to be `slowdown` times slower than this machine, so that a cloud is worth having.
Beside them: the oracle, simulated over the same trace with the same two profiles.
"""

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from commands.profiling.cache import read_profile
from commands.traces import read_trace
from pipeline.energy.total import EnergyTotal
from pipeline.items import Pixels
from scheduling.emulation import slowed
from scheduling.families import default_prunings
from scheduling.policies import Choice, Codecs, make_policy
from scheduling.simulation import Run, simulate
from scheduling.traces import Trace
from sources.writer import write_video

MAIN = Path(__file__).resolve().parents[1] / "main.py"
MODEL = "vit_tiny_patch16_224"
SIDE = 248
POLICIES = ("device-only", "cloud-only", "mixed", "janus", "janus+")
LOSSY = ("png", "jpeg:95", "jpeg:90", "jpeg:80")
TOKENS = ("float32+zstd", "float16+zstd", "int8+zstd", "int4+zstd")
console = Console(width=150)


@dataclass(frozen=True, slots=True)
class Setting:
    """What all policies share."""

    video: Path
    weights: Path
    profile: Path
    trace: str
    sla_ms: float
    slowdown: float
    pixels_stay: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One record as the device wrote it, and when, in seconds after the link had begun."""

    record: dict[str, Any]
    at_s: float

    @property
    def total_ms(self) -> float:
        return float(self.record["latency_ms"]["total"])

    @property
    def ready_s(self) -> float:
        return self.at_s - self.total_ms / 1000


@contextmanager
def process(*arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """One verb of the program, ended when the block is left."""
    command = [sys.executable, str(MAIN), *map(str, arguments)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.terminate()
        child.wait(20)


def address(child: "subprocess.Popen[str]", mark: str) -> str:
    """The first word of the child's output that begins with `mark`."""
    assert child.stdout
    for line in child.stdout:
        for word in line.split():
            if word.startswith(mark):
                return word.rstrip(",")
    raise SystemExit("a process ended before it listened")


def square(image: Pixels) -> Pixels:
    """The image's centre, `SIDE` pixels wide and high."""
    height, width = image.shape[:2]
    scale = SIDE / min(height, width)
    size = (max(SIDE, round(width * scale)), max(SIDE, round(height * scale)))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (image.shape[0] - SIDE) // 2, (image.shape[1] - SIDE) // 2
    return np.ascontiguousarray(image[top : top + SIDE, left : left + SIDE])


def pictures(images: Path, clips: int) -> tuple[list[Path], list[int]]:
    """Files and class indices of the images that `images`/labels.csv names."""
    with (images / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))[:clips]
    return [images / row["file"] for row in rows], [int(row["class_index"]) for row in rows]


def replayed(policy: str, to: Setting) -> list[Line]:
    """Every record of one policy's run."""
    model = ("--model", MODEL, "--weights", to.weights, "--profile", to.profile)
    plan = ("--policy", policy, "--sla-ms", to.sla_ms, "--in-flight", 1, "--emulate-slowdown", to.slowdown)
    plan += ("--pixels-stay",) if to.pixels_stay else ()
    with process("cloud", "--port", 0, *model) as cloud:
        far = address(cloud, "ws://").removeprefix("ws://").split("/")[0]
        with process("link", "--listen", "127.0.0.1:0", "--to", far, "--trace", to.trace) as link:
            url = f"ws://{address(link, '127.0.0.1:')}"
            began = time.monotonic()
            with process("replay", to.video, "--cloud", url, "--output", "-", *plan, *model) as device:
                assert device.stdout
                return [Line(json.loads(line), time.monotonic() - began) for line in device.stdout]


def measured(name: str, lines: list[Line], truth: list[int], trace: Trace, sla_ms: float) -> list[str]:
    """One policy's row, joules last."""
    total_ms = np.array([line.total_ms for line in lines])
    expected_ms = np.array([line.record["expected_ms"] for line in lines])
    right = [line.record["predictions"][0]["class_id"] == truth[line.record["seq"]] for line in lines]
    sent = [line for line in lines if line.record.get("bytes", 0) > 1024]
    link = [
        abs(line.record["link"]["mbps"] - true) / true
        for line in sent
        if (true := _mean_mbps(trace, line)) > 0
    ]
    error = np.abs(expected_ms - total_ms) / total_ms
    return [
        name,
        f"{len(lines)}",
        f"{(total_ms > sla_ms).mean():.1%}",
        f"{1000 / total_ms.mean():.2f}",
        f"{total_ms.mean():.0f}",
        f"{np.percentile(total_ms, 99):.0f}",
        f"{np.mean(right):.1%}",
        f"{error.mean():.1%}",
        f"{np.median(error):.1%}",
        f"{np.median(link):.0%}" if link else "-",
        f"{np.mean([line.record['plan']['split'] == 0 for line in lines]):.0%}",
        f"{np.mean([line.record['plan']['ran'] == 'device' for line in lines]):.0%}",
        joules(lines),
    ]


def joules(lines: list[Line]) -> str:
    """Of this machine for a clip; empty where it does not show them."""
    mean = EnergyTotal.of(line.record.get("energy_j") for line in lines).per_clip
    return "" if mean is None else f"{mean:.3f}"


def _mean_mbps(trace: Trace, line: Line) -> float:
    """The trace's own mean while the clip was under way."""
    return trace.megabits(line.ready_s, line.at_s) / max(line.at_s - line.ready_s, 1e-3)


def oracle(to: Setting, trace: Trace, offset_s: float, clips: int) -> list[str]:
    """The simulated oracle over the same trace, from when the devices began."""
    far = read_profile(to.profile)
    near = slowed(far, to.slowdown)
    pixels = tuple(name for name in LOSSY if name in far.codecs)
    codecs = Codecs(TOKENS, pixels)
    choice = Choice(near, far, codecs, pixels_stay=to.pixels_stay, family=default_prunings)
    run = Run(trace, to.sla_ms, trace.rtt_ms_at(0, 30.0), clairvoyant=True)
    played = simulate(make_policy("oracle", choice), run)
    outcomes = [outcome for outcome in played if outcome.ready_s >= offset_s][:clips]
    total_ms = np.array([outcome.latency_ms for outcome in outcomes])
    splits = np.array([outcome.plan.split for outcome in outcomes])
    return [
        "oracle, simulated",
        f"{len(outcomes)}",
        f"{(total_ms > to.sla_ms).mean():.1%}",
        f"{1000 / total_ms.mean():.2f}",
        f"{total_ms.mean():.0f}",
        f"{np.percentile(total_ms, 99):.0f}",
        *("-",) * 4,
        f"{(splits == 0).mean():.0%}",
        f"{(splits == near.num_layers + 1).mean():.0%}",
    ]


def keep(path: Path, lines: list[Line]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({**line.record, "at_s": line.at_s}) + "\n" for line in lines))


def main(
    images: Annotated[Path, typer.Option(help="folder with labels.csv (file, class_index)")],
    weights: Annotated[Path, typer.Option(help=f"weights of {MODEL}")],
    trace: Annotated[str, typer.Option(help="FILE[:RUN[:5g|lte]]")],
    clips: Annotated[int, typer.Option(help="how many images")] = 300,
    slowdown: Annotated[float, typer.Option(help="the emulated device's factor")] = 8.0,
    sla_ms: Annotated[float, typer.Option(help="the promise")] = 150.0,
    policies: Annotated[str, typer.Option(help="comma-separated")] = ",".join(POLICIES),
    pixels_stay: Annotated[bool, typer.Option("--pixels-stay", help="no pixels leave the device")] = False,
    output: Annotated[Path | None, typer.Option(help="keep the records in this folder")] = None,
) -> None:
    files, truth = pictures(images, clips)
    columns = (
        "policy",
        "clips",
        "late",
        "clips/s",
        "mean ms",
        "p99 ms",
        "top-1",
        "error",
        "median",
        "link off",
    )
    table = Table(
        *columns,
        "in cloud",
        "on device",
        title=f"{Path(trace).name}, {slowdown:g} times slower device, {sla_ms:g} ms",
    )
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory(prefix="janus-live-") as folder:
        to = Setting(
            Path(folder) / "images.mp4",
            weights,
            Path(folder) / "profile.json",
            trace,
            sla_ms,
            slowdown,
            pixels_stay,
        )
        read = (cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB) for file in files)
        write_video(to.video, (square(image) for image in read), 25, 10)
        with process("profile", "--model", MODEL, "--weights", weights, "--output", to.profile) as child:
            child.wait()
        shape, offset_s = read_trace(trace), 0.0
        for policy in policies.split(","):
            lines = replayed(policy, to)
            offset_s = lines[0].ready_s
            rows.append(measured(policy, lines, truth, shape, sla_ms))
            if output is not None:
                keep(output / f"{policy}.jsonl", lines)
        rows.append([*oracle(to, shape, offset_s, clips), ""])
    if any(row[-1] for row in rows):
        table.add_column("J a clip")
    for row in rows:
        table.add_row(*row[: len(table.columns)])
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
