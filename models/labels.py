"""Names of classes that no weight file carries."""

from functools import cache

IMAGENET_CLASSES = 1000


@cache
def imagenet_labels() -> tuple[str, ...]:
    """The 1000 classes of ImageNet-1k in order, as timm describes them."""
    from timm.data.imagenet_info import ImageNetInfo  # noqa: PLC0415 - takes seconds, and few callers show names

    info = ImageNetInfo()
    return tuple(info.index_to_description(index) for index in range(IMAGENET_CLASSES))
