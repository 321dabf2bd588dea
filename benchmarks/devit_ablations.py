"""The ablations of DeViT's Tables VII, VIII and IX and of its Fig. 8 and 9, one after the other.

    python -m benchmarks.devit_ablations --large RUN/large.safetensors --data TRAIN --test TEST

Every ablation is a run of `devit fit` in a folder of its own, from one large model. One that is done is not
done again, and one that was ended goes on. At the end stand the tables, beside the paper's figures.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import typer
from rich.console import Console

MAIN = Path(__file__).resolve().parents[1] / "main.py"
BASE = "base"
SUMMARY, PLAN = "summary.json", "plan.json"
console = Console(highlight=False, soft_wrap=True, markup=False)


@dataclass(frozen=True, slots=True)
class Ablation:
    """A row of a table: the run it is read from, how that differs from the base, and what the paper got, in
    percent and, in Table IX, in ms.

    `paper` and `paper_ms` are None where the paper prints no figure.
    """

    label: str
    run: str
    changes: tuple[str, ...] = ()
    paper: float | None = None
    paper_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Unshrunk:
    """A row for what the base was shrunk from: what it is called, how it is read, the paper's figure in %."""

    label: str
    read: Callable[[Path], float]
    paper: float


@dataclass(frozen=True, slots=True)
class Study:
    """A table: what it varies, and what is read from a finished run's folder, in percent or ms.

    `said` is what the paper says of it, in short, where it prints no figures for the rows.
    """

    title: str
    varied: str
    rows: tuple[Ablation, ...]
    columns: Mapping[str, Callable[[Path], float]]
    unshrunk: Unshrunk | None = None
    said: str = ""


def parts_top1(run: Path) -> float:
    """The mean over the parts, as they were before the ensemble's training, each on its own classes, %."""
    return _mean_accuracy(run, "part-*.safetensors")


def teachers_top1(run: Path) -> float:
    """The mean over the teachers, each on its part's classes, %."""
    return _mean_accuracy(run, "teacher-*.safetensors")


def _mean_accuracy(run: Path, files: str) -> float:
    return 100 * fmean(accuracy_in(path) for path in sorted((run / "steps").glob(files)))


def accuracy_in(path: Path) -> float:
    """What the file of a part or a teacher says of its share right."""
    from devit.files import load_part

    return load_part(path).info.accuracy


def summary(*keys: str) -> Callable[[Path], float]:
    """Reads a number of summary.json; shares are told in percent."""

    def read(run: Path) -> float:
        value: Any = json.loads((run / SUMMARY).read_text())
        for key in keys:
            value = value[key]
        return float(value) * (100 if keys[-1] == "top1" else 1)

    return read


ENSEMBLE = {"ensemble top-1, %": summary("ensemble", "top1")}
LATENCY = {"large, ms": summary("large", "latency_ms"), "ensemble, ms": summary("ensemble", "latency_ms")}
PARTS_ONLY = ("--epochs-fusion", "0")

STUDIES = (
    Study(
        "Table VII: losses of the parts",
        "losses",
        (
            Ablation("labels", "losses-labels", ("--losses", "labels", *PARTS_ONLY), 85.92),
            Ablation("prediction", "losses-pred", ("--losses", "pred", *PARTS_ONLY), 87.20),
            Ablation("features", "losses-feat", ("--losses", "feat", *PARTS_ONLY), 89.57),
            Ablation("both", BASE, paper=90.15),
        ),
        {"mean top-1 of the parts, %": parts_top1},
        unshrunk=Unshrunk("(their teachers)", teachers_top1, 92.92),
    ),
    Study(
        "Table VIII: losses of the ensemble",
        "losses",
        (
            Ablation("labels", "ensemble-labels", ("--ensemble-losses", "labels"), 85.76),
            Ablation("prediction", "ensemble-pred", ("--ensemble-losses", "pred"), 86.03),
            Ablation("token", "ensemble-token", ("--ensemble-losses", "token"), 86.46),
            Ablation("both", BASE, paper=87.98),
        ),
        ENSEMBLE,
        unshrunk=Unshrunk("(the large model)", summary("large", "top1"), 88.77),
    ),
    Study(
        "Table IX: fusions",
        "fusion",
        (
            Ablation("attention", "fusion-attention", ("--fusion", "attention"), 87.09, 6.77),
            Ablation("squeeze-excitation", "fusion-se", ("--fusion", "se"), 88.05, 6.17),
            Ablation("MLP", "fusion-mlp", ("--fusion", "mlp"), 88.01, 6.16),
            Ablation("two linear layers", BASE, paper=87.98, paper_ms=5.79),
        ),
        ENSEMBLE | {"fusion, ms": summary("fusion", "latency_ms")},
    ),
    Study(
        "Fig. 8: data by which importance is judged",
        "data",
        (
            Ablation("none: by lot", "importance-random", ("--importance", "random")),
            Ablation("all classes", "importance-all", ("--importance", "all")),
            Ablation("the part's classes", BASE),
        ),
        ENSEMBLE | {"mean top-1 of the parts, %": parts_top1} | LATENCY,
        said="The paper: judged by the part's classes, 1.73 points less and 3.22 times faster than by all.",
    ),
    Study(
        "Fig. 9: number of devices",
        "parts",
        tuple(
            Ablation(str(count), *((BASE,) if count == 4 else (f"parts-{count}", ("--parts", str(count)))))
            for count in range(2, 7)
        ),
        ENSEMBLE | LATENCY,
        said="The paper: the more devices, the closer to the large model; with 6 about 1 point behind it, "
        "and 2.7 times faster; the latency hardly changes.",
    ),
)


def runs(studies: Sequence[Study] = STUDIES) -> dict[str, tuple[str, ...]]:
    """The options of every run by its name, the base first."""
    return {BASE: ()} | {row.run: row.changes for study in studies for row in study.rows if row.run != BASE}


def arguments(folder: Path, name: str, shared: Sequence[str], changes: Sequence[str]) -> list[str] | None:
    """What `main.py` is given for the run `name`, so that it is begun or gone on with; None if it is done."""
    run = folder / name
    if (run / SUMMARY).exists():
        return None
    taken = [] if name == BASE else ["--from", str(folder / BASE)]
    resumed = ["--resume"] if (run / PLAN).exists() else []
    return ["devit", "fit", "--output", str(run), *shared, *changes, *taken, *resumed]


def table(study: Study, folder: Path) -> str:
    """Markdown, a line for each row whose run is done; differences are to the first of them."""
    done = [row for row in study.rows if (folder / row.run / SUMMARY).exists()]
    name, *others = study.columns
    with_ms = any(row.paper_ms for row in study.rows)
    header = [study.varied, "options", name, "to the first", *others, "paper, %", "to the first"]
    lines = [header + ["paper, ms"] * with_ms, ["---"] * (len(header) + with_ms)]
    for row in done:
        value, *more = (read(folder / row.run) for read in study.columns.values())
        own = _beside_the_first(value, study.columns[name](folder / done[0].run))
        times = [_printed(row.paper_ms)] * with_ms
        options = f"`{' '.join(row.changes)}`" if row.changes else "those of all"
        lines.append(
            [
                row.label,
                options,
                *own,
                *map(_printed, more),
                *_beside_the_first(row.paper, done[0].paper),
                *times,
            ]
        )
    if study.unshrunk is not None and (folder / BASE / SUMMARY).exists():
        own = _beside_the_first(study.unshrunk.read(folder / BASE), study.columns[name](folder / done[0].run))
        paper = _beside_the_first(study.unshrunk.paper, done[0].paper)
        lines.insert(2, [study.unshrunk.label, "", *own, *("" for _ in others), *paper, *[""] * with_ms])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _beside_the_first(value: float | None, first: float | None) -> tuple[str, str]:
    """A figure, and how far it is from that of the first row; empty where there is none."""
    return _printed(value), "" if value is None or first is None else f"{value - first:+.2f}"


def _printed(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def main(
    large: Annotated[Path, typer.Option(help="the large model that all runs begin with, trained")],
    data: Annotated[str, typer.Option(help="labelled pictures to learn from")],
    test: Annotated[str, typer.Option(help="and to measure with")],
    output: Annotated[Path, typer.Option(help="a folder of the runs")] = Path("results/ablations"),
    model: Annotated[str, typer.Option(help="the large model's name")] = "vit_tiny_patch16_224",
    limit: Annotated[int, typer.Option(help="so many pictures of each at most")] = 4000,
    epochs_teachers: Annotated[float, typer.Option(help="of each teacher")] = 1.0,
    epochs_parts: Annotated[float, typer.Option(help="of each part")] = 3.0,
    epochs_fusion: Annotated[float, typer.Option(help="of the ensemble")] = 2.0,
    threads: Annotated[int, typer.Option(help="torch threads")] = 1,
    seed: Annotated[int, typer.Option(help="of everything")] = 0,
) -> None:
    given = {
        "data": data,
        "test": test,
        "model": model,
        "weights": large,
        "limit": limit,
        "epochs-large": 0,
        "epochs-teachers": epochs_teachers,
        "epochs-parts": epochs_parts,
        "epochs-fusion": epochs_fusion,
        "threads": threads,
        "seed": seed,
    }
    shared = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    for name, changes in runs().items():
        command = arguments(output, name, shared, changes)
        if command is not None:
            console.print(f"{name}: {' '.join(['main.py', *command])}")
            subprocess.run([sys.executable, str(MAIN), *command], check=True)
    for study in STUDIES:
        console.print("\n\n".join(filter(None, (f"\n## {study.title}", table(study, output), study.said))))


if __name__ == "__main__":
    typer.run(main)
