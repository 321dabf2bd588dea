"""How well the small model that ships stands damage, merging, codecs and number formats.

    python benchmarks/motions.py [--clips 800]

Every row is the accuracy on the same clips of a seed that training never saw.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from commands.train_sample import HELD_OUT_SEED
from models import SplitViT, configure_threads, create_model
from pipeline.items import Pixels
from scheduling.pruning import parse_pruning
from sources.motions import LABELS, motion_sequence
from transport.codecs import get_codec

BATCH = 16
SPLITS = (1, 4, 8, 12)
LARGE_SHARE = 3
Change = Callable[[Pixels], Pixels]


def shrunk(interpolation: int) -> Change:
    return lambda clip: np.stack([cv2.resize(frame, (64, 64), interpolation=interpolation) for frame in clip])


def through(spec: str) -> Change:
    codec = get_codec(spec)
    return lambda clip: codec.decode(codec.encode(clip), clip.shape)


def both(first: Change, second: Change) -> Change:
    return lambda clip: second(first(clip))


CHANGES: dict[str, tuple[int, Change]] = {
    "as drawn": (64, lambda clip: clip),
    "jpeg:80": (64, through("jpeg:80")),
    "h264:18": (64, through("h264:18")),
    "h264:23": (64, through("h264:23")),
    "h264:28": (64, through("h264:28")),
    "drawn at 256, bilinear": (256, shrunk(cv2.INTER_LINEAR)),
    "drawn at 256, area": (256, shrunk(cv2.INTER_AREA)),
    "drawn at 256, h264:23, bilinear": (256, both(through("h264:23"), shrunk(cv2.INTER_LINEAR))),
    "drawn at 128, bilinear, h264:23": (128, both(shrunk(cv2.INTER_LINEAR), through("h264:23"))),
    "20 % darker": (64, lambda clip: (clip * 0.8).astype(np.uint8)),
}


def batches(clips: int, size: int, change: Change) -> Iterator[tuple[Pixels, list[int]]]:
    """Clips [B, T, H, W, 3] and the numbers of their classes."""
    for start in range(0, clips, BATCH):
        drawn = [
            motion_sequence(HELD_OUT_SEED, i, size=size) for i in range(start, min(clips, start + BATCH))
        ]
        yield np.stack([change(clip) for _, clip in drawn]), [LABELS.index(label) for label, _ in drawn]


def accuracy(
    guess: Callable[[Pixels], torch.Tensor], clips: int, size: int = 64, change: Change | None = None
) -> float:
    right = sum(
        int((guess(batch) == torch.tensor(truth)).sum())
        for batch, truth in batches(clips, size, change or CHANGES["as drawn"][1])
    )
    return 100 * right / clips


def guess_with(model: SplitViT, pruning: str = "none") -> Callable[[Pixels], torch.Tensor]:
    parsed = parse_pruning(pruning, model.num_layers, model.num_tokens)
    return lambda clips: model(model.preprocess(clips), parsed).argmax(-1)


def guess_over(model: SplitViT, split: int, spec: str) -> Callable[[Pixels], torch.Tensor]:
    codec = get_codec(spec)

    def guess(clips: Pixels) -> torch.Tensor:
        head = model.run_layers(model.embed(model.preprocess(clips)), 0, split)
        sent = [model.to_features(head, index) for index in range(len(clips))]
        received = [(codec.decode(codec.encode(array), array.shape), sizes) for array, sizes in sent]
        tail = model.run_layers(model.from_features(received), split, model.num_layers)
        return model.classify(tail).argmax(-1)

    return guess


def main(clips: Annotated[int, typer.Option(help="Clips a row.")] = 800) -> None:
    configure_threads(1)
    model = create_model("motions")
    table = Table("clips", "number", "right, %", title=model.id)
    for name, (size, change) in CHANGES.items():
        number = clips if size == 64 else clips // LARGE_SHARE
        table.add_row(name, str(number), f"{accuracy(guess_with(model), number, size, change):.2f}")
    for spec in ("float16", "int8", "int4"):
        worst = min(accuracy(guess_over(model, split, spec), clips) for split in SPLITS)
        table.add_row(f"{spec} tokens, the worst of splits {SPLITS}", str(clips), f"{worst:.2f}")
    for pruning in ("uniform:4", "uniform:8", "exponential:0.3"):
        table.add_row(f"merging {pruning}", str(clips), f"{accuracy(guess_with(model, pruning), clips):.2f}")
    for dtype in ("bfloat16", "int8"):
        other = create_model("motions", dtype=dtype)  # type: ignore[arg-type]
        table.add_row(f"model in {dtype}", str(clips), f"{accuracy(guess_with(other), clips):.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
