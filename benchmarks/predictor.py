"""How well a latency profile predicts: a layer at token counts it was not fitted on, and whole forwards.

    python -m benchmarks.predictor [--rounds 25] [--repeats 3]

The layer: fitted on some token counts, judged on others, the line of the paper beside the chosen curve.
Whole forwards: heads and tails at several splits and prunings, against a quick profile.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from statistics import median
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from commands.profiling.endtoend import compare, some_cuts
from commands.profiling.layers import token_counts
from commands.profiling.measure import QUICK, measure_profile, token_range
from commands.profiling.rounds import Rounds, quiet_ms
from commands.profiling.workload import Workload
from models import SplitViT, configure_threads, create_model
from models.vit import DType
from pipeline.clock import SystemClock
from scheduling.fitting import best_curve
from scheduling.profile import FitError

LAYERS_OF = ("vit_tiny_patch16_224", "vit_base_patch16_224")
FORWARDS_OF = ("motions", *LAYERS_OF)
RANGE = (16, 1568)
POINTS = 25
DEPTH = 2
WANTED = 0.05

CLOCK = SystemClock()
console = Console(width=110)


def layer_errors(model: SplitViT, rounds: int) -> tuple[dict[str, FitError], list[int]]:
    """Errors of every kind of curve on every other token count, and those counts."""
    counts = token_counts(*RANGE, POINTS)
    workload = Workload(model)
    with torch.inference_mode():
        works = {count: workload.layers(count, 0, DEPTH) for count in counts}
        times = quiet_ms(works, Rounds(rounds, rounds, 1.0), CLOCK)
    held_out = counts[1:-1:2]
    _, errors = best_curve({n: times[n] for n in counts[::2]}, {n: times[n] for n in held_out})
    return errors, held_out


def layer_table(names: tuple[str, ...], dtype: DType, rounds: int) -> Table:
    """Mean and worst error of each kind of curve, on token counts that it was not fitted on."""
    table = Table("model", "curve", "R²", "mean error", "worst error", "", title=f"a layer, {dtype}")
    for name in names:
        errors, held_out = layer_errors(create_model(name, "random", dtype=dtype), rounds)
        console.print(f"{name}: held out are {', '.join(map(str, held_out))} tokens")
        for kind, error in errors.items():
            row = (f"{error.r2:.4f}", f"{error.mean_error:.1%}", f"{error.worst_error:.1%}")
            table.add_row(name, kind, *row, _verdict(error))
    return table


def _verdict(error: FitError) -> str:
    if not error.chosen:
        return ""
    met = error.mean_error <= WANTED
    return f"[{'green' if met else 'red'}]chosen[/] (mean <= {WANTED:.0%})"


def forward_errors(model: SplitViT, seconds: float) -> tuple[float, np.ndarray]:
    """Seconds that a quick profile took, and predicted over measured for every cut."""
    started = CLOCK.now()
    profile = measure_profile(model, QUICK, token_range(model), CLOCK)
    took_s = CLOCK.now() - started
    compared = compare(model, profile, some_cuts(model), Rounds(5, 60, seconds), CLOCK)
    return took_s, np.array([one.predicted_ms / one.measured_ms for one in compared])


def forward_table(names: tuple[str, ...], dtype: DType, repeats: int, seconds: float) -> Table:
    """Predicted over measured head + tail: the median ratio, errors with it and without it."""
    columns = ("model", "took, s", "ratio", "mean error", "worst", "by one factor: mean", "worst")
    table = Table(*columns, title=f"head and tail, {dtype}, 20 cuts")
    for name in names:
        model = create_model(name, None if name == "motions" else "random", dtype=dtype)
        for _ in range(repeats):
            took_s, ratio = forward_errors(model, seconds)
            level = median(ratio)
            off, corrected = np.abs(ratio - 1), np.abs(ratio / level - 1)
            figures = (off.mean(), off.max(), corrected.mean(), corrected.max())
            table.add_row(name, f"{took_s:.1f}", f"{level:.3f}", *(f"{figure:.1%}" for figure in figures))
    return table


def main(
    rounds: Annotated[int, typer.Option(help="times that each token count is run")] = 25,
    repeats: Annotated[int, typer.Option(help="profiles that are compared with forwards")] = 3,
    seconds: Annotated[float, typer.Option(help="for the forwards of one profile")] = 6.0,
    threads: Annotated[int, typer.Option(help="torch threads")] = 1,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or int8")] = "float32",
) -> None:
    configure_threads(threads)
    console.print(layer_table(LAYERS_OF, dtype, rounds))  # type: ignore[arg-type]
    console.print(forward_table(FORWARDS_OF, dtype, repeats, seconds))  # type: ignore[arg-type]


if __name__ == "__main__":
    typer.run(main)
