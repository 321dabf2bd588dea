"""What an evaluation shows a model: labelled files, or the pattern that the shipped model knows."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np

from models import SplitViT
from models.labels import imagenet_labels, imagenet_wnids
from pipeline.errors import ConfigError
from pipeline.items import Pixels
from sources.base import FrameGeometry
from sources.labelled import Protocol, open_examples, views
from sources.motions import LABELS, motion_label, motion_sequence
from sources.registry import PATTERN, parse_pattern

PATTERN_CLIPS = 400


@dataclass(frozen=True, slots=True)
class Item:
    """One example: its class if known, and `read` for its views uint8 [V, T, S, S, 3], which blocks and
    raises SourceError for a file that cannot be read."""

    name: str
    class_id: int | None
    read: Callable[[], Pixels]


@dataclass(frozen=True, slots=True)
class Data:
    """Where the examples are, how many of them at most, drawn by which seed, and how they are shown."""

    where: str
    protocol: Protocol
    limit: int | None = None
    seed: int = 0


@contextmanager
def open_items(data: Data, model: SplitViT) -> Iterator[Sequence[Item]]:
    """The items of `data` as `model` takes them; open within the block. ConfigError for what holds none."""
    if data.where.startswith(PATTERN):
        yield _motions(data, model)
        return
    geometry = FrameGeometry(model.input_size, model.crop_pct)
    labels = model.labels
    wnids = imagenet_wnids() if labels == imagenet_labels() else None
    with open_examples(Path(data.where), labels, wnids, limit=data.limit, seed=data.seed) as examples:
        wrong = next((each for each in examples if (each.class_id or 0) >= model.num_classes), None)
        if wrong is not None:
            raise ConfigError(
                f"{wrong.name}: class {wrong.class_id}, but {model.name} has {model.num_classes} classes"
            )
        names = _unique(example.name for example in examples)
        yield [
            Item(
                name,
                example.class_id,
                partial(views, example, geometry, model.clip_frames, data.protocol),
            )
            for name, example in zip(names, examples, strict=True)
        ]


def digest_of(items: Sequence[Item]) -> str:
    """How many items, and a fingerprint of their names and classes."""
    lines = "\n".join(f"{item.class_id} {item.name}" for item in items)
    return f"{len(items)} {sha256(lines.encode()).hexdigest()[:12]}"


def _unique(names: Iterable[str]) -> list[str]:
    """Names as they are, but for those that come again: they are numbered."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return found


def _motions(data: Data, model: SplitViT) -> list[Item]:
    """Clips that nobody trained on, unless with the same seed."""
    options = parse_pattern(data.where)
    if model.labels != LABELS:
        raise ConfigError(
            f"{data.where}: shows motions, which only the model motions names, not {model.name}"
        )
    count = options.clips or data.limit or PATTERN_CLIPS
    count = min(count, data.limit or count)
    return [
        Item(
            f"motions/{index:06d}",
            LABELS.index(motion_label(options.seed, index)),
            partial(_motion, options.seed, index, model.clip_frames, model.input_size),
        )
        for index in range(count)
    ]


def _motion(seed: int, index: int, clip_frames: int, input_size: int) -> Pixels:
    return motion_sequence(seed, index, clip_frames, input_size)[1][np.newaxis]
