"""Clips to learn motions from: rendered at many sizes, resized, and compressed like real video."""

from collections.abc import Iterable

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipeline.items import Pixels
from sources.motions import LABELS, motion_sequence

Batch = tuple[Tensor, Tensor]

FRAMES = 16
SIZE = 64
OTHER_SIZES = (48, 80, 96, 128, 160, 192, 256)
INTERPOLATIONS = (cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC)
RESIZED, COMPRESSED = 0.35, 0.35
JPEG_QUALITY = (50, 96)


class TrainingClips(Dataset[tuple[Pixels, int]]):
    """Clip `i` of a seed with the damage that clip `i` always gets: uint8 [16, 64, 64, 3] and its class."""

    def __init__(self, seed: int, count: int) -> None:
        self._seed = seed
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[Pixels, int]:
        rng = np.random.default_rng((self._seed, 2, index))
        size = int(rng.choice(OTHER_SIZES)) if rng.random() < RESIZED else SIZE
        label, clip = motion_sequence(self._seed, index, FRAMES, size)
        return damaged(rng, clip), LABELS.index(label)


def damaged(rng: np.random.Generator, clip: Pixels) -> Pixels:
    """A clip [T, H, W, 3] as it may arrive: other brightness, JPEG artefacts, resized to 64 x 64."""
    clip = brightened(clip, rng.uniform(0.85, 1.15), rng.uniform(-10, 10))
    if rng.random() < COMPRESSED:
        clip = through_jpeg(clip, int(rng.integers(*JPEG_QUALITY)))
    return resized(clip, int(rng.choice(INTERPOLATIONS)))


def brightened(clip: Pixels, gain: float, offset: float) -> Pixels:
    """Every value times `gain` plus `offset`, kept within 0..255."""
    table = np.clip(np.arange(256) * gain + offset, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(_stacked(clip), table), dtype=np.uint8).reshape(clip.shape)


def through_jpeg(clip: Pixels, quality: int) -> Pixels:
    """All frames encoded and decoded as one JPEG picture."""
    picture = cv2.cvtColor(_stacked(clip), cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8).reshape(clip.shape)


def _stacked(clip: Pixels) -> Pixels:
    """The frames of a clip, one above the other: [T * H, W, 3]."""
    return clip.reshape(-1, *clip.shape[2:])


def resized(clip: Pixels, interpolation: int) -> Pixels:
    """Every frame brought to 64 x 64."""
    if clip.shape[1] == SIZE:
        return clip
    return np.stack([cv2.resize(frame, (SIZE, SIZE), interpolation=interpolation) for frame in clip])


def batches(seed: int, first: int, stop: int, batch_size: int) -> Iterable[Batch]:
    """Batches first..stop-1 of a seed, drawn ahead of time in a process of its own.

    Each is uint8 [B, 16, 64, 64, 3] and int64 [B]; what a batch holds depends on its number alone.
    """
    clips = range(first * batch_size, stop * batch_size)
    return DataLoader(
        TrainingClips(seed, stop * batch_size),
        batch_size=batch_size,
        sampler=clips,
        num_workers=1,
        # A fork of a process whose OpenCV has threads may wait for them for ever.
        multiprocessing_context="spawn",
        worker_init_fn=_single_threaded,
        prefetch_factor=4,
    )


def _single_threaded(_worker: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
