"""Our forward against timm's: time, accuracy on real images, and what token merging costs.

    python -m benchmarks.forward
    python -m benchmarks.forward --images FOLDER --weights FILE

Every ratio is of medians within one run, with the contestants taking turns.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import timm
import torch
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.plain import plain_layer
from models import SplitViT, Tokens, configure_threads, create_model
from models.checkpoints import Checkpoint, load_into
from models.initial import initialise
from models.layer import Layer
from models.merging import merge
from models.packing import pack, pack_layer
from models.registry import get_architecture
from scheduling.pruning import parse_pruning
from transport.codecs import get_codec

Contestants = dict[str, Callable[[], object]]

TINY = "vit_tiny_patch16_224"
FORWARDS = {TINY: {"float32": 0.95}, "vit_small_patch16_224": {"float32": 0.95}} | {
    "vit_base_patch16_224": {"float32": 0.95, "bfloat16": 0.55, "int8": 0.35}
}
LAYERS = ((197, 192, 3, 8), (197, 768, 12, 8), (577, 1024, 16, 24), (1568, 1024, 16, 65))
TOP1 = {"none": 82.6, "uniform:8": 83.0, "exponential:0.45": 76.6}
DTYPES = ("float32", "bfloat16", "int8")
BATCH = 20
SPLITS = (1, 3, 6, 11)
console = Console(width=100)


def medians(contestants: Contestants, rounds: int) -> dict[str, float]:
    """Median milliseconds of each, one after the other in every round."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def mark(value: float, target: float | None, at_most: bool = True) -> str:
    """`value` in green or red, as it meets its target or not; plain without one."""
    if target is None:
        return f"{value:.3f}"
    met = value <= target if at_most else value >= target
    return f"[{'green' if met else 'red'}]{value:.3f}[/] ({'<=' if at_most else '>='} {target:g})"


def forward_table(rounds: int) -> Table:
    """Our forward over timm's, batch 1, for every dtype."""
    table = Table("model", "form", "ms", "of timm's", title="forward, batch 1")
    for name, targets in FORWARDS.items():
        reference = timm.create_model(name).eval().requires_grad_(False)
        weights = Checkpoint("timm", reference.state_dict())
        pixels = torch.randn(1, 3, 224, 224)
        contestants: Contestants = {"timm": lambda model=reference, x=pixels: model(x)}
        for dtype in DTYPES:
            ours = SplitViT(get_architecture(name))
            load_into(ours, weights)
            pack(ours, dtype, "cpu")  # type: ignore[arg-type]
            contestants[dtype] = lambda model=ours, x=pixels: model(x)
        taken = medians(contestants, rounds)
        for form, ms in taken.items():
            table.add_row(name, form, f"{ms:.2f}", mark(ms / taken["timm"], targets.get(form)))
    return table


def merge_share(layer: Layer, tokens: Tokens, removed: int, rounds: int) -> tuple[float, float]:
    """Median milliseconds that merging adds where it stands, between attention and MLP, and of the layer.

    Both are timed from the end of the attention's product to the start of the MLP's, with and without
    merging in turn: what comes first after a product finds cold caches, with merging or without.
    """
    between: dict[int, list[float]] = {0: [], removed: []}
    whole = []
    for _ in range(rounds + 1):
        for count, taken in between.items():
            start = time.perf_counter()
            x, keys = layer.attn(tokens.x, layer.norm1(tokens.x), tokens.size.log()[:, None, None, :])
            before = time.perf_counter()
            merged = merge(Tokens(x, tokens.size), keys, count, layer.prefix)
            normed = layer.norm2(merged.x)
            taken.append(time.perf_counter() - before)
            layer.mlp(merged.x, normed)
            if count == 0:
                whole.append(time.perf_counter() - start)
    without, with_merging = (statistics.median(taken[1:]) for taken in between.values())
    return (with_merging - without) * 1e3, statistics.median(whole[1:]) * 1e3


def merging_table(rounds: int) -> Table:
    """The merge step as a share of an unmerged layer, and a merging layer against the plain formulation."""
    columns = ("tokens", "width", "removed", "layer ms", "merge ms", "share", "alone ms", "share", "of plain")
    table = Table(*columns, title="merging: in its place, alone in a loop, and the whole layer against plain")
    for n, dim, heads, removed in LAYERS:
        plain, packed = (Layer(dim, heads, 1).requires_grad_(False) for _ in range(2))
        for layer in (plain, packed):
            initialise(layer, 0)
        pack_layer(packed, "float32", torch.device("cpu"))
        tokens = Tokens(torch.randn(1, n, dim), torch.randint(1, 4, (1, n)).float())
        merge_ms, layer_ms = merge_share(packed, tokens, removed, rounds)
        keys = torch.randn(1, n, 3, heads, dim // heads)[:, :, 1].transpose(1, 2)
        alone_ms = medians({"merge": lambda x=tokens, k=keys, r=removed: merge(x, k, r, 1)}, 200 * rounds)[
            "merge"
        ]
        taken = medians(
            {
                "ours": lambda layer=packed, x=tokens, r=removed: layer(x, r, True),
                "plain": lambda layer=plain, x=tokens, r=removed: plain_layer(layer, x, r),
            },
            rounds,
        )
        target = 0.8 if n == 1568 else None
        table.add_row(
            *(f"{n}", f"{dim}", f"{removed}", f"{layer_ms:.2f}", f"{merge_ms:.3f}"),
            mark(merge_ms / layer_ms, 0.01),
            f"{alone_ms:.3f}",
            mark(alone_ms / layer_ms, 0.01),
            mark(taken["ours"] / taken["plain"], target),
        )
    return table


def read_images(folder: Path, model: SplitViT) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels and class indices of the images that `folder`/labels.csv names (file, class_index)."""
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    images = (np.asarray(Image.open(folder / row["file"]).convert("RGB")) for row in rows)
    pixels = torch.cat([model.preprocess(image[None, None]) for image in images])
    return pixels, torch.tensor([int(row["class_index"]) for row in rows])


def answers(model: SplitViT, pixels: torch.Tensor, pruning: str = "none") -> torch.Tensor:
    parsed = parse_pruning(pruning, model.num_layers, model.num_tokens)
    return torch.cat([model(batch, parsed).argmax(-1) for batch in pixels.split(BATCH)])


def answers_over(model: SplitViT, pixels: torch.Tensor, split: int, spec: str) -> torch.Tensor:
    """Answers when the tokens cross the cut after `split` layers in the codec `spec`."""
    codec = get_codec(spec)
    found = []
    for batch in pixels.split(BATCH):
        head = model.run_layers(model.embed(batch), 0, split)
        features = [model.to_features(head, index) for index in range(len(batch))]
        received = [(codec.decode(codec.encode(array), array.shape), sizes) for array, sizes in features]
        tail = model.run_layers(model.from_features(received), split, model.num_layers)
        found.append(model.classify(tail).argmax(-1))
    return torch.cat(found)


def accuracy_table(images: Path, weights: Path) -> Table:
    """Top-1 on real images, and the share of answers that are the unmerged float32 model's."""
    models = {dtype: create_model(TINY, weights, dtype=dtype) for dtype in DTYPES}  # type: ignore[arg-type]
    exact = models["float32"]
    pixels, truth = read_images(images, exact)
    found = {("float32", spec): answers(exact, pixels, spec) for spec in TOP1}
    found |= {(dtype, "none"): answers(models[dtype], pixels) for dtype in DTYPES[1:]}
    for split in SPLITS:
        for codec in ("int8", "float16"):
            found[f"{codec} at {split}", "none"] = answers_over(exact, pixels, split, codec)
    table = Table("form", "pruning", "top-1 %", "off by", "same %", title=f"{len(truth)} images, {TINY}")
    same_targets = {"bfloat16": 99.0, "int8": 97.5} | {f"int8 at {split}": 98.5 for split in SPLITS}
    same_targets |= {f"float16 at {split}": 99.8 for split in SPLITS}
    for (form, pruning), answer in found.items():
        top1 = 100 * float((answer == truth).float().mean())
        same = 100 * float((answer == found["float32", "none"]).float().mean())
        off = mark(abs(top1 - TOP1[pruning]), 0.605 if form in ("float32", "int8") else None)
        wanted = same_targets.get(form)
        table.add_row(form, pruning, f"{top1:.1f}", off, mark(same, wanted, at_most=False))
    return table


def main(
    images: Annotated[Path | None, typer.Option(help="folder with labels.csv (file, class_index)")] = None,
    weights: Annotated[Path | None, typer.Option(help=f"weights of {TINY}")] = None,
    rounds: Annotated[int, typer.Option(help="times that each contestant runs")] = 15,
    threads: Annotated[int, typer.Option(help="torch threads")] = 1,
) -> None:
    configure_threads(threads)
    torch.set_grad_enabled(False)
    if images is not None and weights is not None:
        console.print(accuracy_table(images, weights))
        return
    console.print(forward_table(rounds))
    console.print(merging_table(rounds))


if __name__ == "__main__":
    typer.run(main)
