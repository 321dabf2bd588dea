"""Accuracy levels: which prunings and codecs may be used, best first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import ConfigError
from pipeline.items import Pruning
from scheduling.families import thinned
from scheduling.profile import Name, Text
from scheduling.pruning import ALPHA_STEP, alpha_max, exponential, none, parse_pruning

LOSSLESS = ("raw", "raw32", "png", "float32")
WORST_FIDELITY = 5.0
NEARLY_LOSSLESS = 3.05  # jpeg at quality 95
TOLERANCE = 0.01
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Level:
    """A pruning and the codec of what crosses the link; codec None where nothing does. `accuracy` is
    a fraction, measured for the model at hand; None where nobody measured it."""

    pruning: Pruning
    codec: str | None
    accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Levels:
    """Accuracy levels, best first; the members of one group are equally accurate."""

    groups: tuple[tuple[Level, ...], ...]

    @classmethod
    def unmeasured(
        cls, prunings: Sequence[Pruning], codecs: Iterable[str | None], tolerance: float = TOLERANCE
    ) -> Self:
        """Without measurements: `prunings` as given, light to heavy, and for each the codecs by fidelity.

        With any `tolerance` the codecs down to jpeg:95 count as equal: on hundreds of images they move
        top-1 by less than its standard error, though jpeg:95 changes one answer in twenty to ten.
        """
        ranked = sorted(codecs, key=fidelity)
        same = NEARLY_LOSSLESS if tolerance > 0 else 0.0
        return cls(
            tuple(
                tuple(Level(pruning, codec) for codec in equal)
                for pruning in prunings
                for _, equal in groupby(ranked, key=lambda codec: max(fidelity(codec), same))
            )
        )

    @classmethod
    def measured(
        cls, levels: Sequence[Level], tolerance: float = TOLERANCE, max_accuracy_loss: float | None = None
    ) -> Self:
        """By measured accuracy, not further below the best than `max_accuracy_loss`; those within
        `tolerance` of the best of their group count as equal. Both are fractions."""
        every = sorted([*levels, *_on_device(levels)], key=_accuracy, reverse=True)
        least = 0.0 if max_accuracy_loss is None else _accuracy(every[0]) - max_accuracy_loss
        groups: list[list[Level]] = []
        for level in every:
            if _accuracy(level) < least - ROUNDING:
                break
            if groups and _accuracy(level) >= _accuracy(groups[-1][0]) - tolerance - ROUNDING:
                groups[-1].append(level)
            else:
                groups.append([level])
        return cls(tuple(tuple(group) for group in groups))


def fidelity(codec: str | None) -> float:
    """How far a codec without a measured accuracy is from lossless: 0 for lossless, then float16, int8,
    jpeg and h264 by quality, int4."""
    family, _, number = (codec or "raw").partition(":")
    layout = family.partition("+")[0]
    match layout:
        case "float16":
            return 1.0
        case "int8":
            return 2.0
        case "jpeg":
            return 3.0 + (100 - _quality(codec, number, 90, 100)) / 100
        case "h264":
            return 3.0 + _quality(codec, number, 23, 51) / 51
        case "int4":
            return WORST_FIDELITY
    if layout not in LOSSLESS:
        raise ConfigError(f"codec {codec}: nothing is known of its fidelity; measure its accuracy")
    return 0.0


def _quality(codec: str | None, number: str, default: int, most: int) -> int:
    if number and not (number.isdecimal() and int(number) <= most):
        raise ConfigError(f"codec {codec}: quality {number!r} is no number from 0 to {most}")
    return int(number or default)


def exponential_prunings(num_layers: int, num_tokens: int, most: int | None = None) -> list[Pruning]:
    """Janus's prunings: alpha from 0 to alpha_max in steps of 0.01, each that differs from the one before;
    at most `most` of them, evenly chosen, ends included."""
    found = [none(num_layers, num_tokens)]
    for step in range(1, round(alpha_max(num_layers, num_tokens) / ALPHA_STEP) + 1):
        pruning = exponential(round(step * ALPHA_STEP, 2), num_layers, num_tokens)
        if pruning.removed != found[-1].removed:
            found.append(pruning)
    return thinned(found, most)


def most_uniform(num_layers: int, num_tokens: int) -> int:
    """The largest r whose sum over all layers spares two tokens, as ToMe reports it: 23 at 577 tokens and
    24 layers, 65 at 1568."""
    return max(0, (num_tokens - 2) // max(1, num_layers))


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    pruning: Name
    codec: Name | None = None
    accuracy: Annotated[float, Field(ge=0, le=1)]
    # What an evaluation says beside it, for readers; the order rests on `accuracy` alone.
    agreement: float | None = None
    top1: float | None = None
    top5: float | None = None
    dominated: bool = False


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    model: Name
    measure: Text = "top1"
    data: Text | None = None
    levels: Annotated[list[_Row], Field(min_length=1, max_length=10_000)]


def parse_levels(
    data: Mapping[str, Any], where: str, model: str, num_layers: int, num_tokens: int
) -> list[Level]:
    """The levels of a level file; ConfigError names the first key that is wrong."""
    try:
        file = _File.model_validate(data)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        key = repr(".".join(map(str, wrong["loc"])) or "file")[1:-1]
        raise ConfigError(f"{where}: {key[:120]}: {wrong['msg'].removeprefix('Value error, ')}") from None
    if file.model != model:
        raise ConfigError(f"{where}: was measured for model {file.model}, not for {model}")
    return [_level(row, f"{where}: levels.{i}", num_layers, num_tokens) for i, row in enumerate(file.levels)]


def _level(row: _Row, where: str, num_layers: int, num_tokens: int) -> Level:
    try:
        return Level(parse_pruning(row.pruning, num_layers, num_tokens), row.codec, row.accuracy)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _on_device(levels: Sequence[Level]) -> list[Level]:
    """What a pruning is worth where nothing crosses the link: as much as with its best codec."""
    stated = {level.pruning for level in levels if level.codec is None}
    best: dict[Pruning, float] = {}
    for level in levels:
        if level.pruning not in stated:
            best[level.pruning] = max(best.get(level.pruning, 0.0), _accuracy(level))
    return [Level(pruning, None, accuracy) for pruning, accuracy in best.items()]


def _accuracy(level: Level) -> float:
    if level.accuracy is None:
        raise ConfigError(f"level {level.pruning}, {level.codec}: has no measured accuracy")
    return level.accuracy
