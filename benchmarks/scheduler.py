"""What one decision costs, and all that the scheduler, its trackers and the record add to a clip.

    python benchmarks/scheduler.py [--moments 20000]

A model like ViT-L on video (24 layers, 1568 tokens), 30 prunings, 15 splits, 6 codecs for tokens and 6
for pixels, at random moments. Wall time counts what other programs take of the core; CPU time does not.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter_ns, thread_time_ns
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from pipeline.items import ClassScore, Moment, Plan, Prediction, Ran, Status
from scheduling.costs import CostTable, cost_table
from scheduling.levels import Levels, exponential_prunings
from scheduling.policies import ScheduledPolicy
from scheduling.profile import CodecProfile, LayerProfile, Line, Machine, Profile
from scheduling.situation import Situation
from scheduling.splitting import split_points
from sinks.record import to_line

NUM_LAYERS, NUM_TOKENS, DIM = 24, 1568, 1024
PRUNINGS = 30
SLA_MS, RESCUE_MARGIN_MS = 300.0, 5.0
PAPER_SHARE, WANTED_SHARE = 0.0021, 0.001
TOKEN_BYTES = {
    "float32": 4.0,
    "float32+zstd": 3.7,
    "float16": 2.0,
    "float16+zstd": 1.8,
    "int8+zstd": 0.92,
    "int4+zstd": 0.41,
}
PIXEL_BYTES = {
    "raw": 2.4e6,
    "png": 1.1e6,
    "jpeg:95": 1.8e5,
    "jpeg:80": 8e4,
    "h264:18": 2.2e4,
    "h264:23": 1.1e4,
}

console = Console(width=110)


def line(base: float, slope: float = 0.0) -> Line:
    return Line(base=base, slope=slope)


def codecs() -> dict[str, CodecProfile]:
    quick = line(0.1, 0.003)
    tokens = {
        name: CodecProfile(kind="tokens", bytes=line(0.0, each * DIM), encode_ms=quick, decode_ms=quick)
        for name, each in TOKEN_BYTES.items()
    }
    pixels = {
        name: CodecProfile(kind="pixels", bytes=line(size), encode_ms=line(10.0), decode_ms=line(5.0))
        for name, size in PIXEL_BYTES.items()
    }
    return tokens | pixels


def profile(layer: Line) -> Profile:
    return Profile(
        machine=Machine(host="made up", processor="", system="", dtype="float32", device="cpu", threads=1),
        model="like ViT-L",
        num_layers=NUM_LAYERS,
        num_tokens=NUM_TOKENS,
        dim=DIM,
        layer=LayerProfile(curve=layer, merge_ms=line(0.0), mlp_ms_per_token=0.0),
        embed_ms=1.0,
        classify_ms=0.2,
        codecs=codecs(),
    )


def candidates(prune: bool) -> CostTable:
    prunings = exponential_prunings(NUM_LAYERS, NUM_TOKENS, PRUNINGS)
    levels = Levels.unmeasured(prunings, (None, *TOKEN_BYTES, *PIXEL_BYTES))
    device, cloud = profile(line(3.0, 0.0155)), profile(line(0.4, 0.0006))
    return cost_table(levels, split_points(NUM_LAYERS), device, cloud, prune=prune)


def random_moments(count: int) -> Iterator[Moment]:
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield Moment(
            budget_ms=SLA_MS * rng.uniform(0.5, 1.0),
            mbps=float(10 ** rng.uniform(-1, 2.5)),
            rtt_ms=rng.uniform(5, 80),
            device_wait_ms=rng.uniform(0, 100) * rng.integers(2),
            link_wait_ms=rng.uniform(0, 100) * rng.integers(2),
            cloud_wait_ms=rng.uniform(0, 20),
            device_factor=rng.uniform(0.8, 1.5),
        )


def record(clip_id: str, moment: Moment, plan: Plan) -> Prediction:
    latency_ms = {part: value for part, value in plan.expected_ms.items() if part != "downlink"}
    return Prediction(
        clip_id=clip_id,
        source="camera",
        seq=1,
        status=Status.OK,
        classes=tuple(ClassScore(f"class {number}", number, 0.2) for number in range(5)),
        plan=plan,
        ran=Ran.SPLIT,
        latency_ms=latency_ms,
        sent_bytes=100_000,
        sla_ms=SLA_MS,
        model="like ViT-L@00000000",
    )


class Clips:
    """Everything that a clip costs beside model, codec and link, with another one under way."""

    def __init__(self, policy: ScheduledPolicy) -> None:
        self._policy = policy
        self._situation = Situation()
        self._situation.link_up(0.03, 0.0)
        self._count = 0
        self._started: list[tuple[str, Plan]] = []

    def one(self, moment: Moment) -> None:
        """The next clip is planned and sent, the one before it is acknowledged and answered."""
        situation, now = self._situation, self._count * 0.3
        clip_id = f"camera/{self._count:06d}"
        plan = self._policy.choose(situation.moment(now + moment.budget_ms / 1000, now))
        situation.planned(clip_id, plan, now)
        situation.head_done(clip_id, plan, 100.0, now + 0.1)
        self._policy.rescale(plan.codec, situation.encoded(plan, round(plan.expected_bytes * 1.1)))
        situation.sent(clip_id, 100_000, now + 0.11)
        self._started.append((clip_id, plan))
        self._count += 1
        if len(self._started) > 1:
            self._end(moment, now + 0.2)

    def _end(self, moment: Moment, now: float) -> None:
        clip_id, plan = self._started.pop(0)
        situation = self._situation
        situation.acknowledged(clip_id, now)
        situation.answered(clip_id, plan, {"queue": 1.0, "decode": 2.0, "tail": 20.0})
        situation.upload_ms(clip_id)
        to_line(record(clip_id, moment, plan))


def timed(call: Callable[[Moment], object], moments: list[Moment]) -> tuple[np.ndarray, np.ndarray]:
    """Wall and CPU time in µs of each call, [moments]."""
    for moment in moments[:200]:
        call(moment)
    wall, cpu = np.empty(len(moments)), np.empty(len(moments))
    for index, moment in enumerate(moments):
        wall_ns, cpu_ns = perf_counter_ns(), thread_time_ns()
        call(moment)
        cpu[index], wall[index] = thread_time_ns() - cpu_ns, perf_counter_ns() - wall_ns
    return wall / 1000, cpu / 1000


def main(moments: Annotated[int, typer.Option(min=100)] = 20_000) -> None:
    """Print what a decision and a clip's bookkeeping take."""
    some = list(random_moments(moments))
    table = Table("what", "candidates", "median", "p99", "CPU median", "CPU p99")
    for what, prune in (("decision over all", False), ("without dominated ones", True)):
        policy = ScheduledPolicy("janus+", candidates(prune), backlog=True, rescue_margin_ms=RESCUE_MARGIN_MS)
        add_row(table, what, policy, timed(policy.choose, some))
        wall_cpu = timed(Clips(policy).one, some)
        add_row(table, "  all a clip costs", policy, wall_cpu)
        share = float(np.median(wall_cpu[0])) / 1000 / SLA_MS
    console.print(table)
    console.print(
        f"all a clip costs is {share:.3%} of {SLA_MS:g} ms (wanted: under {WANTED_SHARE:.1%}; "
        f"the paper's scheduler: {PAPER_SHARE:.2%})"
    )


def add_row(
    table: Table, what: str, policy: ScheduledPolicy, wall_cpu: tuple[np.ndarray, np.ndarray]
) -> None:
    figures = [f"{value:.0f} µs" for times in wall_cpu for value in np.percentile(times, [50, 99])]
    table.add_row(what, str(len(policy.scheduler.table)), *figures)
    console.print(f"{what.strip()}: median {figures[0]}, p99 {figures[1]}")


if __name__ == "__main__":
    typer.run(main)
