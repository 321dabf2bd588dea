"""What prunings do to a model's answers, and what each costs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.forward import read_images
from commands.evaluation.cells import Cell
from commands.evaluation.sweep import Sweep
from commands.train_sample import HELD_OUT_SEED
from models import SplitViT
from pipeline.items import Pixels, Pruning
from scheduling.profile import Profile
from sources.motions import LABELS, motion_sequence

BATCH = 25
SPLITS = (3, 6, 9, 11)
WIRE = "int8"
Answers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Data:
    """`frames` uint8 [M, T, H, W, 3] with the classes `truth` [M]; `chosen` bool [M] is the half on which
    prunings are chosen, the others are what they are judged by."""

    frames: Pixels
    truth: Answers
    chosen: NDArray[np.bool_]

    def batches(self) -> Iterator[Pixels]:
        for start in range(0, len(self.frames), BATCH):
            yield self.frames[start : start + BATCH]


@dataclass(frozen=True, slots=True)
class Row:
    """One pruning: agreement with the unmerged float32 model on the half that chooses, on the other half
    and on all, top-1 on all, all in %; tokens entering the layers in % of the unmerged model's."""

    pruning: Pruning
    chosen: float
    judged: float
    agreement: float
    top1: float
    work: float

    @property
    def rule(self) -> str:
        return self.pruning.name.partition(":")[0]


def images(folder: Path, model: SplitViT, limit: int, seed: int) -> Data:
    """The images that `folder`/labels.csv names, in the model's size."""
    pixels, truth = read_images(folder, model)
    mean, std = (np.array(values).reshape(1, 3, 1, 1) for values in (model.spec.mean, model.spec.std))
    frames = ((pixels[:limit].numpy() * std + mean) * 255).round().astype(np.uint8)
    return _data(np.ascontiguousarray(frames.transpose(0, 2, 3, 1))[:, None], truth[:limit].numpy(), seed)


def clips(count: int, model: SplitViT, seed: int) -> Data:
    """Motions that the shipped model has never seen."""
    drawn = [motion_sequence(HELD_OUT_SEED, i, model.clip_frames, model.input_size) for i in range(count)]
    truth = np.array([LABELS.index(label) for label, _ in drawn])
    return _data(np.stack([frames for _, frames in drawn]), truth, seed)


def _data(frames: Pixels, truth: Answers, seed: int) -> Data:
    order = np.random.default_rng(seed).permutation(len(truth))
    return Data(frames, truth, order < len(truth) // 2)


def answers(model: SplitViT, prunings: Sequence[Pruning], data: Data, what: str) -> dict[Pruning, Answers]:
    """The classes [M] that `model` names under each of `prunings`."""
    cells = [Cell(pruning) for pruning in prunings]
    sweep = Sweep(model, cells)
    total = -(-len(data.frames) // BATCH)
    found = [sweep.run(batch) for batch in track(data.batches(), what, total)]
    return {cell.pruning: np.concatenate([part[cell].logits.argmax(-1) for part in found]) for cell in cells}


def rows(given: dict[Pruning, Answers], exact: Answers, data: Data, num_tokens: int) -> list[Row]:
    """What each pruning's answers are worth; `exact` are the unmerged float32 model's."""
    return [
        Row(
            pruning,
            100 * float((answer == exact)[data.chosen].mean()),
            100 * float((answer == exact)[~data.chosen].mean()),
            100 * float((answer == exact).mean()),
            100 * float((answer == data.truth).mean()),
            100 * float(np.mean(entering(pruning, num_tokens))) / num_tokens,
        )
        for pruning, answer in given.items()
    ]


def entering(pruning: Pruning, num_tokens: int) -> list[int]:
    """Tokens that enter each layer."""
    return [pruning.tokens_after(num_tokens, layer) for layer in range(len(pruning.removed))]


@dataclass(frozen=True, slots=True)
class Machines:
    """A device that is `slowdown` times slower than the measured machine, which is the cloud, and a link."""

    profile: Profile
    slowdown: float = 1.0
    mbps: float = 0.0
    rtt_ms: float = 0.0

    def device_ms(self, row: Row) -> float:
        """All layers, embedding and classification on the machine that was measured."""
        return self.profile.embed_ms + sum(self._layers_ms(row)) + self.profile.classify_ms

    def num_bytes(self, row: Row, split: int) -> float:
        """What crosses behind `split` layers, in int8 without entropy coding, with the token sizes."""
        left = row.pruning.tokens_after(self.profile.num_tokens, split)
        sizes = 2 * left if left < self.profile.num_tokens else 0
        return float(self.profile.codecs[WIRE].bytes.at(left)) + sizes

    def plan_ms(self, row: Row, split: int) -> float:
        """Head on the device, the link, tail in the cloud."""
        layers_ms = self._layers_ms(row)
        head_ms = self.slowdown * (self.profile.embed_ms + sum(layers_ms[:split]))
        link_ms = self.num_bytes(row, split) * 8e-3 / self.mbps + self.rtt_ms
        return head_ms + link_ms + sum(layers_ms[split:]) + self.profile.classify_ms

    def _layers_ms(self, row: Row) -> list[float]:
        before = entering(row.pruning, self.profile.num_tokens)
        return [float(ms) for ms in self.profile.layer.ms(before, row.pruning.removed)]
