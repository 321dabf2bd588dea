"""What an evaluation measures: every pruning with every codec at every split."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import ConfigError
from pipeline.items import Pruning
from transport.codecs import get_codec

PIXELS_SPLIT = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """One way to run a clip. `codec` None: all layers in one place, and nothing is encoded; `split` is
    then None too. Pixels cross at split 0, tokens after layer `split`."""

    pruning: Pruning
    codec: str | None = None
    split: int | None = None

    def __str__(self) -> str:
        if self.codec is None:
            return str(self.pruning)
        return f"{self.pruning}, {self.codec} at split {self.split}"


def grid(
    prunings: Sequence[Pruning], codecs: Sequence[str], splits: Sequence[int], num_layers: int
) -> list[Cell]:
    """Cells of each pruning, light to heavy as given: unencoded, then each codec at each split that it can
    encode. ConfigError for a split of tokens outside 1..N."""
    wrong = [split for split in splits if not 1 <= split <= num_layers]
    if wrong:
        raise ConfigError(
            f"split {wrong[0]}: tokens cross after layer 1 to {num_layers}; pixels at 0 are always measured"
        )
    ways = [way for codec in codecs for way in _ways(get_codec(codec).name, splits)]
    return [
        Cell(pruning, codec, split)
        for pruning in dict.fromkeys(prunings)
        for codec, split in [(None, None), *dict.fromkeys(ways)]
    ]


def middle_splits(num_layers: int) -> tuple[int, ...]:
    """After a quarter, a half and three quarters of the layers."""
    return tuple(sorted({max(1, num_layers * quarter // 4) for quarter in (1, 2, 3)}))


def listed(text: str | None) -> tuple[str, ...]:
    """The parts of a list with commas; "none" alone and no text at all are empty."""
    return () if text in (None, "none") else tuple(part.strip() for part in (text or "").split(","))


def listed_splits(text: str | None) -> tuple[int, ...]:
    """The numbers of a list with commas; ConfigError for what is no number."""
    try:
        return tuple(map(int, listed(text)))
    except ValueError:
        raise ConfigError(f"splits {text!r}: write numbers of layers, such as 3,6,9") from None


def _ways(codec: str, splits: Sequence[int]) -> list[tuple[str, int]]:
    if get_codec(codec).kind == "pixels":
        return [(codec, PIXELS_SPLIT)]
    return [(codec, split) for split in sorted(set(splits))]
