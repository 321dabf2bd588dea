"""Labelled files as frames in memory, decoded once and kept beside the run: `read_pictures`."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from devit.data import Pictures
from pipeline.errors import ConfigError
from sources.base import FrameGeometry
from sources.labelled import Example, Protocol, open_examples, views

MOST_BYTES = 16 * 2**30


@dataclass(frozen=True, slots=True)
class Shown:
    """How pictures are to be shown: `frames` of them a clip, `stride` apart, `limit` clips at most."""

    geometry: FrameGeometry
    frames: int
    stride: int
    limit: int | None
    seed: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of one clip, uint8 [T, S, S, 3]."""
        size = self.geometry.input_size
        return self.frames, size, size, 3


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pictures, the names of their classes (numbers where the data has none), and a fingerprint of both;
    `videos` of the pictures are clips of videos."""

    pictures: Pictures
    names: tuple[str, ...]
    digest: str
    videos: int


def read_pictures(
    path: Path,
    shown: Shown,
    cache: Path,
    classes: Sequence[str] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    known: str | None = None,
) -> Labelled:
    """All of `path`, decoded on several threads into a file in the folder `cache`, or found there.

    `classes` names those that a model knows already. Frames stay in that file, mapped into memory. Raises
    ConfigError for data without labels, or of over 16 GiB once decoded; SourceError for a file that cannot
    be read. `on_progress` hears how many are done, of how many. `known` is the fingerprint that a run
    remembers: one of names alone, of before there were others, stays as it is.
    """
    with open_examples(path, classes, limit=shown.limit, seed=shown.seed) as examples:
        labels = [_class_of(example, path) for example in examples]
        names = tuple(classes or examples.classes or map(str, range(max(labels) + 1)))
        digest = _digest(examples, shown, known)
        _check_size(path, len(labels), shown)
        frames = _frames(list(examples), shown, cache / f"frames-{digest}.npy", on_progress)
        videos = sum(example.kind == "video" for example in examples)
    pictures = Pictures.of(torch.from_numpy(frames), torch.tensor(labels))
    return Labelled(pictures, names, digest, videos)


def _class_of(example: Example, path: Path) -> int:
    if example.class_id is None:
        raise ConfigError(f"{path}: {example.name} has no class; give one sub-folder a class, or a table")
    return example.class_id


def _check_size(path: Path, count: int, shown: Shown) -> None:
    num_bytes = count * int(np.prod(shown.shape))
    if num_bytes > MOST_BYTES:
        raise ConfigError(
            f"{path}: {count} examples take {num_bytes} bytes once decoded, over the limit of {MOST_BYTES}; "
            "take fewer with --limit, or a smaller --input-size"
        )


def _digest(examples: Iterable[Example], shown: Shown, known: str | None) -> str:
    lines = [repr(shown), *(f"{one.class_id} {one.name}" for one in examples)]
    of_names = _hashed(lines)
    return of_names if of_names == known else _hashed([*lines, *(one.stamp for one in examples)])


def _hashed(lines: Iterable[str]) -> str:
    return sha256("\n".join(lines).encode()).hexdigest()[:12]


def _frames(
    examples: list[Example], shown: Shown, cached: Path, on_progress: Callable[[int, int], None]
) -> NDArray[np.uint8]:
    """Frames [n, T, S, S, 3] of `examples`, copied in memory where anybody writes to them."""
    shape = (len(examples), *shown.shape)
    if not cached.exists():
        _decode(examples, shown, cached, on_progress)
    try:
        frames: NDArray[np.uint8] = np.load(cached, mmap_mode="c", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ConfigError(f"{cached}: cannot be read; remove it, and it will be made anew") from error
    if frames.shape != shape or frames.dtype != np.uint8:
        raise ConfigError(f"{cached}: does not hold these pictures; remove it, and it will be made anew")
    return frames


def _decode(
    examples: list[Example], shown: Shown, cached: Path, on_progress: Callable[[int, int], None]
) -> None:
    cached.parent.mkdir(parents=True, exist_ok=True)
    unfinished = cached.with_name(cached.name + ".part")
    frames = open_memmap(unfinished, "w+", np.uint8, (len(examples), *shown.shape))
    protocol = Protocol(1, 1, shown.stride)

    def decode(index: int) -> None:
        frames[index] = views(examples[index], shown.geometry, shown.frames, protocol)[0]

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for done, _ in enumerate(threads.map(decode, range(len(examples))), 1):
            on_progress(done, len(examples))
    frames.flush()
    unfinished.replace(cached)
