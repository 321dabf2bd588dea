"""From logits to classes with names and confidences."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.items import ClassScore


def top_classes(
    logits: NDArray[np.float32], labels: Sequence[str] | None, top_k: int
) -> tuple[ClassScore, ...]:
    """The `top_k` best classes of `logits` [classes], best first, with softmax confidences.

    Without labels a class is named by its number. Raises ValueError for logits that are not finite.
    """
    if not np.isfinite(logits).all():
        raise ValueError("the model's logits are not finite")
    exponentials = np.exp(logits - logits.max())
    confidences = exponentials / exponentials.sum()
    best = np.argsort(-logits, kind="stable")[:top_k]
    return tuple(
        ClassScore(labels[i] if labels else str(i), int(i), float(confidences[i])) for i in best.tolist()
    )
