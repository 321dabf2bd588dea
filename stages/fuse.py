"""Fuse: the tokens of those parts that answered become classes."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from devit.ensemble import presence
from devit.files import SavedFusion
from pipeline.items import ClassScore
from stages.classes import top_classes


class Fuse:
    """A fusion, for one clip at a time; for the model thread."""

    def __init__(self, saved: SavedFusion, top_k: int = 5) -> None:
        self._fusion = saved.fusion
        self._labels = saved.info.labels or None
        self._dims = saved.info.spec.dims
        self._top_k = top_k

    @property
    def num_parts(self) -> int:
        """N, of which any may be missing."""
        return len(self._dims)

    @torch.inference_mode()
    def __call__(self, tokens: Mapping[int, NDArray[np.float32]]) -> tuple[ClassScore, ...]:
        """The best classes by `tokens` [D_i] of the parts i, from 0; ValueError for logits that are not
        finite."""
        rows = [
            torch.tensor(tokens[part])[None] if part in tokens else torch.zeros(1, dim)
            for part, dim in enumerate(self._dims)
        ]
        output = self._fusion(rows, presence(sorted(tokens), self.num_parts, 1))
        return top_classes(output.logits[0].numpy(), self._labels, self._top_k)
