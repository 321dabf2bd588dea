"""Items for tests: motions, one of them with several views, and one that cannot be read."""

import numpy as np

from commands.evaluation.data import Data, Item, open_items
from models import SplitViT
from pipeline.errors import SourceError
from sources.labelled import Protocol


def motions(model: SplitViT, count: int) -> list[Item]:
    with open_items(Data(f"pattern:motions?seed=9&clips={count}", Protocol.parse("1x1")), model) as items:
        return list(items)


def of_several_views(items: list[Item], name: str = "several") -> Item:
    """One item whose views are those of `items`."""
    return Item(name, items[0].class_id, lambda: np.concatenate([item.read() for item in items]))


def unreadable(name: str = "broken.mp4") -> Item:
    def read():
        raise SourceError(name, "holds no frame that can be decoded")

    return Item(name, 2, read)
