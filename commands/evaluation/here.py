"""An evaluation within this process, every shared piece of work done once."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from commands.evaluation.answers import Answer
from commands.evaluation.cells import Cell
from commands.evaluation.data import Item
from commands.evaluation.scores import TOP5
from commands.evaluation.sweep import Outcome, Sweep
from models import SplitViT
from pipeline.errors import ModelError, SourceError
from pipeline.items import Pixels
from scheduling.pruning import none

Read = tuple[Item, Pixels]


class Judge:
    """Answers for all `cells` of `model`, and for the unmerged `reference`, which may be the same model."""

    def __init__(self, model: SplitViT, reference: SplitViT, cells: Sequence[Cell]) -> None:
        self._cells = cells
        self._unmerged = Cell(none(model.num_layers, model.num_tokens))
        own = [self._unmerged] if reference is model else []
        self._sweep = Sweep(model, list(dict.fromkeys([*own, *cells])))
        self._reference = None if own else Sweep(reference, [self._unmerged])

    def answers(self, items: Sequence[Read], batch: int) -> list[Answer]:
        """One answer for each item, from its views' mean confidences; `batch` clips at a time."""
        clips = np.concatenate([frames for _, frames in items])
        parts = [self._run(clips[start : start + batch]) for start in range(0, len(clips), batch)]
        ends = np.cumsum([len(frames) for _, frames in items])
        return [
            self._answer(item, parts, slice(end - len(frames), end))
            for (item, frames), end in zip(items, ends.tolist(), strict=True)
        ]

    def _run(self, clips: Pixels) -> tuple[dict[Cell, Outcome], Outcome]:
        found = self._sweep.run(clips)
        told = found if self._reference is None else self._reference.run(clips)
        return found, told[self._unmerged]

    def _answer(
        self, item: Item, parts: Sequence[tuple[dict[Cell, Outcome], Outcome]], views: slice
    ) -> Answer:
        best, num_bytes = [], []
        for cell in self._cells:
            outcomes = [found[cell] for found, _ in parts]
            best.append(best_classes(item.name, np.concatenate([each.logits for each in outcomes])[views]))
            num_bytes.append(
                round(float(np.concatenate([each.num_bytes for each in outcomes])[views].mean()))
            )
        reference = np.concatenate([told.logits for _, told in parts])[views]
        return Answer(
            name=item.name,
            class_id=item.class_id,
            reference=best_classes(item.name, reference),
            best=best,
            num_bytes=num_bytes,
        )


def best_classes(name: str, logits: NDArray[np.float32]) -> list[int]:
    """The five best classes by the mean of the views' confidences; `logits` [V, classes]."""
    if not np.isfinite(logits).all():
        raise ModelError(f"{name}: the model's logits are not finite")
    powers = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    confidences = (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)
    return [int(index) for index in np.argsort(-confidences, kind="stable")[:TOP5]]


def answers_here(items: Iterable[Item], judge: Judge, batch: int, ahead: int = 2) -> Iterator[Answer]:
    """An answer for every item, `ahead` of which are read too early; those that cannot be read come first."""
    waiting: list[Read] = []
    clips = 0
    for item, frames in read_ahead(items, ahead):
        if isinstance(frames, SourceError):
            yield Answer(name=item.name, class_id=item.class_id, error=str(frames))
            continue
        waiting.append((item, frames))
        clips += len(frames)
        if clips >= batch:
            yield from judge.answers(waiting, batch)
            waiting, clips = [], 0
    if waiting:
        yield from judge.answers(waiting, batch)


def read_ahead(items: Iterable[Item], ahead: int) -> Iterator[tuple[Item, Pixels | SourceError]]:
    """Each item with its views, read in a thread beside the model, at most `ahead` of them too early."""
    reading: deque[tuple[Item, Future[Pixels | SourceError]]] = deque()
    with ThreadPoolExecutor(1, "read") as pool:
        try:
            for item in items:
                reading.append((item, pool.submit(_read, item)))
                if len(reading) > ahead:
                    first, future = reading.popleft()
                    yield first, future.result()
            while reading:
                first, future = reading.popleft()
                yield first, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _read(item: Item) -> Pixels | SourceError:
    try:
        return item.read()
    except SourceError as error:
        return error
