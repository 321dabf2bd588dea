"""Pictures and clips with their classes, held in memory, and the batches that a training is shown."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from devit.randomness import generator_of, seeded
from pipeline.errors import ConfigError

Augmentation = Literal["none", "crop", "flip", "rand"]

PADDING = 8
ORDER, STEP = 0, 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Frames uint8 [B, T, S, S, 3] and their classes, int64 [B]."""

    frames: Tensor
    labels: Tensor

    def to(self, device: str) -> "Batch":
        return Batch(self.frames.to(device), self.labels.to(device))


@dataclass(frozen=True, slots=True)
class Pictures:
    """Some of `frames` uint8 [M, T, S, S, 3]: those at `places` [n], which are of the classes `labels` [n].

    Subsets share the frames. An image is a clip of one frame.
    """

    frames: Tensor
    labels: Tensor
    places: Tensor

    @classmethod
    def of(cls, frames: Tensor, labels: Tensor) -> "Pictures":
        """All of `frames`; ConfigError where there are none, or not as many labels."""
        if not len(frames) or len(frames) != len(labels):
            raise ConfigError(
                f"{len(frames)} pictures with {len(labels)} labels; give 1 or more, each with one"
            )
        return cls(frames, labels, torch.arange(len(frames)))

    def __len__(self) -> int:
        return len(self.places)

    def batch(self, chosen: Tensor) -> Batch:
        """Those of the indices `chosen` [B], in their order."""
        return Batch(self.frames[self.places[chosen]], self.labels[chosen])

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All of them; the last batch may be smaller."""
        for start in range(0, len(self), batch_size):
            yield self.batch(torch.arange(start, min(start + batch_size, len(self))))

    def of_classes(self, classes: Sequence[int]) -> "Pictures":
        """Those of `classes`, whose place there becomes their label; ConfigError where there are none."""
        row_of = torch.full((max(int(self.labels.max()), *classes) + 1,), -1)
        row_of[list(classes)] = torch.arange(len(classes))
        rows = row_of[self.labels]
        if not (rows >= 0).any():
            raise ConfigError(f"no picture is of the classes {', '.join(map(str, classes))}")
        return replace(self, labels=rows[rows >= 0], places=self.places[rows >= 0])

    def split(self, share: float, seed: int) -> "tuple[Pictures, Pictures]":
        """Training and validation: of a class that has two or more, `share` (one at least) is held out."""
        order = torch.randperm(len(self), generator=generator_of(seed))
        held = torch.zeros(len(self), dtype=torch.bool)
        for label in sorted(set(self.labels.tolist())):
            own = order[self.labels[order] == label]
            held[own[: min(len(own) - 1, max(1, round(len(own) * share)))]] = True
        return self._where(~held), self._where(held)

    def sample(self, count: int, seed: int) -> "Pictures":
        """So many of them at most, drawn by `seed`, in their order."""
        chosen = torch.randperm(len(self), generator=generator_of(seed))[:count].sort().values
        return replace(self, labels=self.labels[chosen], places=self.places[chosen])

    def _where(self, kept: Tensor) -> "Pictures":
        return replace(self, labels=self.labels[kept], places=self.places[kept])


class Batches:
    """The batch of each step of a training, which hangs on `seed` and the step alone.

    An epoch shows every picture once, in an order of its own, but for those that would not fill a batch.
    """

    def __init__(
        self, pictures: Pictures, batch_size: int, seed: int, augmentation: Augmentation = "none"
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"a batch must hold 1 picture or more, not {batch_size}")
        if augmentation not in get_args(Augmentation):
            raise ConfigError(
                f"augmentation {augmentation!r} is unknown; choose {', '.join(get_args(Augmentation))}"
            )
        self.pictures = pictures
        self.per_epoch = max(1, len(pictures) // batch_size)
        self._batch_size = batch_size
        self._seed = seed
        self._change = CHANGES[augmentation]
        self._epoch, self._order = -1, torch.empty(0)

    def __call__(self, step: int) -> Batch:
        """The batch of step 0, 1, ..., as it is after augmentation."""
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            drawn = generator_of(self._seed, ORDER, epoch)
            self._epoch, self._order = epoch, torch.randperm(len(self.pictures), generator=drawn)
        start = place * self._batch_size
        batch = self.pictures.batch(self._order[start : start + self._batch_size])
        with seeded(self._seed, STEP, step):
            return replace(batch, frames=self._change(batch.frames))


def shifted(frames: Tensor) -> Tensor:
    """`frames` [B, T, S, S, 3], each clip moved by up to an eighth of its side; what comes in is black."""
    batch, _, size = frames.shape[:3]
    pad = size // PADDING
    padded = F.pad(frames, (0, 0, pad, pad, pad, pad))
    rows, columns = (torch.randint(2 * pad + 1, (batch, 1)) + torch.arange(size) for _ in range(2))
    index = torch.arange(batch)[:, None, None]
    return padded[index, :, rows[:, :, None], columns[:, None, :]].movedim(3, 1)


def flipped(frames: Tensor) -> Tensor:
    """`frames` [B, T, S, S, 3], of which every other clip, on average, is mirrored."""
    mirrored = torch.rand(len(frames), 1, 1, 1, 1) < 0.5
    return torch.where(mirrored, frames.flip(3), frames)


def rand_augmented(frames: Tensor) -> Tensor:
    """`frames` [B, T, S, S, 3] after torchvision's RandAugment, the same for all frames of a clip."""
    change = v2.RandAugment()
    return torch.stack([change(clip.permute(0, 3, 1, 2)).permute(0, 2, 3, 1) for clip in frames])


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda frames: frames,
    "crop": shifted,
    "flip": lambda frames: flipped(shifted(frames)),
    "rand": lambda frames: rand_augmented(flipped(shifted(frames))),
}
