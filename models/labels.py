"""Names of classes that no weight file carries."""

from functools import cache
from pathlib import Path

IMAGENET_CLASSES = 1000
KINETICS_CLASSES = 400


@cache
def imagenet_labels() -> tuple[str, ...]:
    """The 1000 classes of ImageNet-1k in order, as WordNet describes them."""
    return _lines("imagenet1k.txt")


@cache
def imagenet_wnids() -> tuple[str, ...]:
    """The WordNet ids of the same 1000 classes, such as n01440764; data sets name their folders by them."""
    return _lines("imagenet1k_wnids.txt")


@cache
def kinetics_labels() -> tuple[str, ...]:
    """The 400 classes of Kinetics-400 in order."""
    return _lines("kinetics400.txt")


def default_labels(clip_frames: int, num_classes: int) -> tuple[str, ...] | None:
    """What a model's number of classes is taken to mean: ImageNet-1k of images, Kinetics-400 of clips."""
    if clip_frames == 1 and num_classes == IMAGENET_CLASSES:
        return imagenet_labels()
    if clip_frames > 1 and num_classes == KINETICS_CLASSES:
        return kinetics_labels()
    return None


def _lines(name: str) -> tuple[str, ...]:
    path = Path(__file__).parent / "data" / name
    return tuple(path.read_text(encoding="utf-8").splitlines())
