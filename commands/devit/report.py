"""What a run came to: `summary_of`, as it stands in summary.json, and `summary_table` for the terminal."""

from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table
from torch import nn

from devit.backbones import run
from devit.data import Pictures
from devit.ensemble import Ensemble
from devit.evaluation import RUNS, accuracy, accuracy_by_choice, latencies_ms, parameters
from devit.files import Part, SavedFusion, load_fusion, load_part
from models.preprocessing import preprocess
from pipeline.errors import ModelError

LARGE, FUSION, PARTS = "large.safetensors", "fusion.safetensors", "part-{}.safetensors"


def load_run(folder: Path) -> tuple[Part, list[Part], SavedFusion]:
    """The large model, the parts and the fusion of a run that is done; ModelError for what is missing, or
    is another run's."""
    large = load_part(folder / LARGE)
    trained = load_fusion(folder / FUSION).info
    if trained.teacher != large.digest:
        raise ModelError(
            f"{folder / LARGE}: is {large.digest[:8]}, not {trained.teacher[:8]}, from which {FUSION} "
            "learnt; put back the one of this run, or name another folder"
        )
    parts = [load_part(folder / PARTS.format(part)) for part in range(1, len(trained.parts) + 1)]
    return large, parts, load_fusion(folder / FUSION, [part.digest for part in parts])


def summary_of(folder: Path, test: Pictures, device: str = "cpu", runs: int = RUNS) -> dict[str, Any]:
    """Top-1 on `test` of the large model, each part on its classes and the ensemble with every choice of
    parts; parameters, bytes of files, and latency on one thread of this machine's processor."""
    large, parts, fusion = load_run(folder)
    models: list[nn.Module] = [part.model for part in parts]
    latency = latencies_ms(_works(large, parts, fusion, test), runs)
    ensemble = Ensemble(models, fusion.fusion)
    top1 = accuracy(large.model.to(device), large.info.architecture, test, device)
    choices = accuracy_by_choice(ensemble.to(device), large.info.architecture, test, device)
    rows: list[dict[str, Any]] = [
        {
            "classes": list(part.info.classes),
            "top1": accuracy(part.model, part.info.architecture, test.of_classes(part.info.classes), device),
            **_size(folder / PARTS.format(index), part.model),
            "latency_ms": latency[f"part {index}"],
        }
        for index, part in enumerate(parts, 1)
    ]
    slowest = max(row["latency_ms"] for row in rows)
    fused: dict[str, Any] = _size(folder / FUSION, fusion.fusion) | {"latency_ms": latency["fusion"]}
    everything = [fused, *rows]
    return {
        "pictures": len(test),
        "large": {"top1": top1, **_size(folder / LARGE, large.model), "latency_ms": latency["large"]},
        "parts": rows,
        "fusion": fused,
        "ensemble": {
            "top1": choices[tuple(range(len(parts)))],
            "parameters": sum(row["parameters"] for row in everything),
            "bytes": sum(row["bytes"] for row in everything),
            "latency_ms": slowest + latency["fusion"],
            "by_parts": {
                ",".join(str(part + 1) for part in chosen): share for chosen, share in choices.items()
            },
            "by_count": _by_count(choices),
        },
    }


def summary_table(summary: dict[str, Any], title: str) -> Table:
    """The large model against the ensemble, and what that is made of."""
    table = Table("", "top-1", "parameters", "latency, 1 thread", "file", title=escape(title))
    for name in ("large", "ensemble"):
        table.add_row(name, *_cells(summary[name]))
    for index, row in enumerate(summary["parts"], 1):
        table.add_row(f"part {index}, its {len(row['classes'])} classes", *_cells(row))
    table.add_row("fusion", *_cells(summary["fusion"]))
    for count, share in list(summary["ensemble"]["by_count"].items())[:-1]:
        table.add_row(f"ensemble, {count} of {len(summary['parts'])} parts", f"{share:.2%}", "", "", "")
    return table


def _works(large: Part, parts: list[Part], fusion: SavedFusion, test: Pictures) -> dict[str, Any]:
    """What is timed, with one picture: on the processor, wherever it was trained."""
    (batch, *_) = test.in_order(1)
    pixels = preprocess(batch.frames, large.info.architecture.spec)
    tokens = [run(part.model, pixels).token for part in parts]
    works = {"large": partial(run, large.model, pixels), "fusion": partial(fusion.fusion, tokens)}
    return works | {f"part {index}": partial(run, part.model, pixels) for index, part in enumerate(parts, 1)}


def _size(path: Path, model: nn.Module) -> dict[str, int]:
    return {"parameters": parameters(model), "bytes": path.stat().st_size}


def _by_count(choices: dict[tuple[int, ...], float]) -> dict[str, float]:
    """The mean share right over all choices of so many parts."""
    groups: dict[int, list[float]] = defaultdict(list)
    for parts, share in choices.items():
        groups[len(parts)].append(share)
    return {str(count): sum(shares) / len(shares) for count, shares in sorted(groups.items())}


def _cells(row: dict[str, Any]) -> list[str]:
    top1 = f"{row['top1']:.2%}" if "top1" in row else ""
    size = f"{row['parameters'] / 1e6:.3f} M", f"{row['latency_ms']:.2f} ms", f"{row['bytes'] / 1e6:.2f} MB"
    return [top1, *size]
