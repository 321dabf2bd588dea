"""Every cell of an evaluation over one batch, each shared piece of work done once."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from commands.evaluation.cells import PIXELS_SPLIT, Cell
from models import SplitViT, Tokens
from pipeline.items import Pixels
from scheduling.levels import fidelity
from transport.codecs import get_codec

K = TypeVar("K", bound=Hashable)
Bytes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a cell made of a batch: `logits` float32 [B, classes], and the bytes [B] that crossed."""

    logits: NDArray[np.float32]
    num_bytes: Bytes


class Sweep:
    """Runs batches through all `cells` of `model`, as a walk down a tree of layers, depth first.

    Cells that have merged alike so far share their layers; cells that differ in the codec alone share the
    head up to their split; a codec that loses nothing shares the tail as well.
    """

    def __init__(self, model: SplitViT, cells: Sequence[Cell]) -> None:
        self._model = model
        self._cells = tuple(cells)

    @torch.inference_mode()
    def run(self, frames: Pixels) -> dict[Cell, Outcome]:
        """The outcome of every cell for `frames` uint8 [B, T, H, W, 3]. Blocks."""
        walk = _Walk(self._model, len(frames))
        walk.start(frames, self._cells)
        return {cell: Outcome(walk.logits[cell], walk.num_bytes[cell]) for cell in self._cells}


class _Walk:
    """One batch on its way down; beside the present tokens only those of their ancestors are kept."""

    def __init__(self, model: SplitViT, batch: int) -> None:
        self._model = model
        self._nothing = np.zeros(batch, np.int64)
        self.logits: dict[Cell, NDArray[np.float32]] = {}
        self.num_bytes: dict[Cell, Bytes] = {}

    def start(self, frames: Pixels, cells: Sequence[Cell]) -> None:
        """From `frames` uint8 [B, T, H, W, 3] to all that `cells` ask for."""
        unchanged = [cell for cell in cells if cell.split != PIXELS_SPLIT]
        for codec, group in _grouped((cell for cell in cells if cell.split == PIXELS_SPLIT), _codec):
            payloads = [get_codec(codec).encode(clip) for clip in frames]
            self._count(group, [len(payload) for payload in payloads])
            if fidelity(codec) == 0:
                unchanged += group
            else:
                decoded = [get_codec(codec).decode(payload, frames.shape[1:]) for payload in payloads]
                self._embed(np.stack(decoded), group)
        self._embed(frames, unchanged)

    def _embed(self, frames: Pixels, cells: Sequence[Cell]) -> None:
        if cells:
            self._leave(self._model.embed(self._model.preprocess(frames)), 0, cells)

    def _arrive(self, tokens: Tokens, layer: int, cells: Sequence[Cell]) -> None:
        """Behind `layer` layers: those cells that cut here cross, then all go on."""
        going = [cell for cell in cells if cell.split != layer]
        for codec, group in _grouped((cell for cell in cells if cell.split == layer), _codec):
            features = [self._model.to_features(tokens, index) for index in range(len(self._nothing))]
            payloads = [get_codec(codec).encode(array) for array, _ in features]
            self._count(group, [len(payload) + self._sizes_bytes(tokens) for payload in payloads])
            if fidelity(codec) == 0:
                going += group
            else:
                decoded = [
                    (get_codec(codec).decode(payload, array.shape), sizes)
                    for payload, (array, sizes) in zip(payloads, features, strict=True)
                ]
                self._leave(self._model.from_features(decoded), layer, group)
        self._leave(tokens, layer, going)

    def _leave(self, tokens: Tokens, layer: int, cells: Sequence[Cell]) -> None:
        """From behind `layer` layers into the next one, once for all cells that merge alike there."""
        if cells and layer == self._model.num_layers:
            logits = self._model.classify(tokens).cpu().numpy()
            for cell in cells:
                self.logits[cell] = logits
                self.num_bytes.setdefault(cell, self._nothing)
            return
        for _, alike in _grouped(cells, lambda cell: cell.pruning.removed[layer]):
            after = self._model.run_layers(tokens, layer, layer + 1, alike[0].pruning)
            self._arrive(after, layer + 1, alike)

    def _sizes_bytes(self, tokens: Tokens) -> int:
        """Token sizes cross as uint16 once some token stands for more than itself."""
        count = tokens.x.shape[1]
        return 2 * count if count < self._model.num_tokens else 0

    def _count(self, cells: Iterable[Cell], num_bytes: Sequence[int]) -> None:
        for cell in cells:
            self.num_bytes[cell] = np.array(num_bytes, np.int64)


def _codec(cell: Cell) -> str:
    if cell.codec is None:
        raise ValueError(f"{cell}: nothing crosses")
    return cell.codec


def _grouped(cells: Iterable[Cell], key: Callable[[Cell], K]) -> list[tuple[K, list[Cell]]]:
    groups: dict[K, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(key(cell), []).append(cell)
    return list(groups.items())
