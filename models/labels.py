"""Names of classes that no weight file carries."""

from functools import cache
from pathlib import Path

IMAGENET_CLASSES = 1000


@cache
def imagenet_labels() -> tuple[str, ...]:
    """The 1000 classes of ImageNet-1k in order, as WordNet describes them."""
    path = Path(__file__).parent / "data" / "imagenet1k.txt"
    return tuple(path.read_text(encoding="utf-8").splitlines())
