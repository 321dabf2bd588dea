"""Labelled images and videos, opened as one sequence whatever way they are stored."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from pipeline.errors import ConfigError
from sources.folder import printable
from sources.labelled.layout import Member, find_members, open_store
from sources.labelled.names import ModelClasses, class_indices, is_names
from sources.labelled.store import Store
from sources.labelled.table import IMAGE_SUFFIXES

Kind = Literal["image", "video"]


@dataclass(frozen=True, slots=True)
class Example:
    """An image or a video with its class; `class_id` is None where the data has no labels.

    `label` is the class as the model names it, else as the data does; None for a bare index. Nothing
    is read before `read()`, which any thread or process may call while the examples are open.
    """

    name: str
    class_id: int | None
    label: str | None
    kind: Kind
    store: Store = field(repr=False, compare=False)
    member: str = field(repr=False, compare=False)

    @property
    def path(self) -> Path | None:
        """Where the file lies on disk; None inside a zip."""
        return self.store.path(self.member)

    @property
    def stamp(self) -> str:
        """What changes when the file does, without reading it: its size and time, or CRC inside a zip."""
        return self.store.stamp(self.member)

    def read(self, limit_bytes: int) -> bytes:
        """The whole file; SourceError where it cannot be read or is over the limit."""
        return self.store.read(self.member, limit_bytes)


@dataclass(frozen=True, slots=True)
class Examples:
    """Examples in a stable order, and the class names that the data knows; None for bare indices."""

    items: tuple[Example, ...]
    classes: tuple[str, ...] | None

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.items)

    def __getitem__(self, index: int) -> Example:
        return self.items[index]


@contextmanager
def open_examples(
    path: Path,
    classes: Sequence[str] | None = None,
    wnids: Sequence[str] | None = None,
    *,
    limit: int | None = None,
    seed: int = 0,
    root: Path | None = None,
) -> Iterator[Examples]:
    """The examples of a folder, a table or a zip, with the class indices of a model; open within the block.

    A folder or zip holds one sub-folder a class, or a table (labels.csv, or its only CSV), or files
    without labels. A table names files relative to `root` (for a zip, a folder in it) or to itself.
    `classes` and `wnids` are the model's names and WordNet ids in order. `limit` takes that many, drawn
    by `seed` alike from every class. Raises ConfigError for what holds no examples, and for classes
    that the model lacks.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"{path}: a limit of {limit} examples; it must be 1 or more")
    store = open_store(path)
    try:
        model = ModelClasses(tuple(classes) if classes else None, tuple(wnids) if wnids else None)
        members = find_members(path, store, root, model)
        labels = {member.label for member in members if member.label is not None}
        indices = class_indices(labels, model, str(path))
        chosen = members if limit is None else balanced(members, limit, seed)
        names = tuple(sorted(labels)) if is_names(labels) else None
        yield Examples(tuple(_example(member, store, indices, model) for member in chosen), names)
    finally:
        store.close()


def _example(member: Member, store: Store, indices: dict[str, int], model: ModelClasses) -> Example:
    class_id = None if member.label is None else indices[member.label]
    label = member.label
    if model.names is not None and class_id is not None:
        label = model.names[class_id]
    elif label is not None and not is_names([label]):
        label = None
    kind: Kind = "image" if PurePosixPath(member.name).suffix.lower() in IMAGE_SUFFIXES else "video"
    return Example(printable(member.name), class_id, label, kind, store, member.name)


def balanced(members: Sequence[Member], limit: int, seed: int) -> list[Member]:
    """At most `limit` members in their order: as many of each class as of any other, while they last."""
    groups: dict[str | None, list[int]] = defaultdict(list)
    for index, member in enumerate(members):
        groups[member.label].append(index)
    draw = np.random.default_rng(seed)
    turns = [
        (turn, place, int(index))
        for place, label in zip(draw.permutation(len(groups)), groups, strict=True)
        for turn, index in enumerate(draw.permutation(groups[label]))
    ]
    return [members[index] for index in sorted(index for _, _, index in sorted(turns)[:limit])]
