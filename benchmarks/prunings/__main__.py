"""The family of pruning rules searched: which loses least for its work, time and bytes.

    python -m benchmarks.prunings --images FOLDER --weights FILE
    python -m benchmarks.prunings --clips 400

With images: a ViT-Ti on photographs. Without: the small model that ships, on motions it has never seen.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from benchmarks.forward import DTYPES, TINY, medians
from benchmarks.prunings.dropping import drop_instead
from benchmarks.prunings.fronts import best, best_by_rule
from benchmarks.prunings.grid import candidates
from benchmarks.prunings.measure import Answers, Data, Machines, Row, answers, clips, images, rows
from benchmarks.prunings.report import (
    bytes_table,
    dropping_table,
    dtype_table,
    front_table,
    plan_table,
    target_line,
    time_table,
    work_table,
)
from commands.profiling.measure import THOROUGH, measure_profile, token_range
from models import SplitViT, configure_threads, create_model
from pipeline.clock import SystemClock

MOTIONS = "motions"
WINNERS_AT = (80, 60, 55)
DROPPED_AT = (80, 60)
LINKS_MBPS = (5.0, 20.0)
console = Console(width=120)


def make(weights: Path | None, dtype: str = "float32") -> SplitViT:
    return create_model(MOTIONS if weights is None else TINY, weights, dtype=dtype)  # type: ignore[arg-type]


def by_dtype(found: Sequence[Row], exact: Answers, data: Data, weights: Path | None, rounds: int) -> None:
    """No merging and the winners in every number format; all take turns on the clock."""
    winners = [best(found, lambda row: row.work, budget) for budget in WINNERS_AT]
    prunings = list(dict.fromkeys(row.pruning for row in (found[0], *winners) if row))
    models = {dtype: make(weights, dtype) for dtype in DTYPES}
    judged = {DTYPES[0]: [row for row in found if row.pruning in prunings]}
    for dtype in DTYPES[1:]:
        given = answers(models[dtype], prunings, data, dtype)
        judged[dtype] = rows(given, exact, data, models[dtype].num_tokens)
    contestants = {
        f"{dtype} {pruning}": partial(model, model.preprocess(data.frames[:1]), pruning)
        for dtype, model in models.items()
        for pruning in prunings
    }
    console.print(dtype_table(judged, medians(contestants, rounds)))


def against_dropping(found: Sequence[Row], exact: Answers, data: Data, weights: Path | None) -> None:
    """The best of each rule at two budgets, merged and dropped, as many tokens at each layer."""
    chosen = [
        row for budget in DROPPED_AT for row in best_by_rule(found, lambda row: row.work, budget).values()
    ]
    merged = list({row.pruning: row for row in chosen}.values())
    model = drop_instead(make(weights))
    given = answers(model, [row.pruning for row in merged], data, "dropping")
    console.print(dropping_table(merged, rows(given, exact, data, model.num_tokens)))


def main(
    images_at: Annotated[Path | None, typer.Option("--images", help="folder with labels.csv")] = None,
    weights: Annotated[Path | None, typer.Option(help=f"weights of {TINY}")] = None,
    limit: Annotated[int, typer.Option(help="how many images at most")] = 500,
    count: Annotated[int, typer.Option("--clips", help="how many motions, without images")] = 400,
    seed: Annotated[int, typer.Option(help="of the half on which prunings are chosen")] = 0,
    slowdown: Annotated[float, typer.Option(help="device over cloud")] = 5.0,
    rtt_ms: Annotated[float, typer.Option(help="the link's round trip")] = 20.0,
    rounds: Annotated[int, typer.Option(help="times that each number format runs")] = 15,
    threads: Annotated[int, typer.Option(help="torch threads")] = 1,
    output: Annotated[Path | None, typer.Option(help="raw numbers, JSON")] = None,
) -> None:
    configure_threads(threads)
    torch.set_grad_enabled(False)
    if (images_at is None) != (weights is None):
        raise typer.BadParameter("give both --images and --weights, or neither")
    model = make(weights)
    data = clips(count, model, seed) if images_at is None else images(images_at, model, limit, seed)
    prunings = candidates(model.num_layers, model.num_tokens)
    given = answers(model, prunings, data, f"{len(prunings)} prunings")
    found = rows(given, given[prunings[0]], data, model.num_tokens)
    profile = measure_profile(model, THOROUGH, token_range(model), SystemClock())
    machines = Machines(profile, slowdown, LINKS_MBPS[0], rtt_ms)
    title = f"{model.id}: {len(data.truth)} inputs, {len(prunings)} prunings; the front"
    console.print(front_table(found, machines, lambda row: row.work, f"{title} by work"))
    console.print(front_table(found, machines, machines.device_ms, f"{title} by time"))
    console.print(target_line(found))
    console.print(work_table(found), time_table(found, machines), bytes_table(found, machines))
    console.print(plan_table(found, machines, LINKS_MBPS))
    if output is not None:
        keep(output, found, machines)
    exact = given[prunings[0]]
    by_dtype(found, exact, data, weights, rounds)
    against_dropping(found, exact, data, weights)


def keep(path: Path, found: Sequence[Row], machines: Machines) -> None:
    """Every pruning's figures."""
    path.write_text(
        json.dumps(
            [{**asdict(row), "pruning": str(row.pruning), "ms": machines.device_ms(row)} for row in found],
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    typer.run(main)
