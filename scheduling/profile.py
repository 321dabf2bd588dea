"""How long a model takes on one machine, and how many bytes its codecs make: plain numbers, one JSON map."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationError, model_validator

from pipeline.errors import ConfigError

MOST_POINTS = 256
MOST_CODECS = 64

Values = NDArray[np.float64]
Points = tuple[float, ...]


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be printable text on one line")
    return text


def _rising(tokens: Points) -> Points:
    if any(after - before < 1 for before, after in pairwise(tokens)):
        raise ValueError("must rise by 1 or more from each to the next")
    return tokens


def _not_falling(values: Points) -> Points:
    if any(after < before for before, after in pairwise(values)):
        raise ValueError("must not fall")
    return values


Text = Annotated[str, Field(max_length=256), AfterValidator(_printable)]
Name = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_printable)]
Count = Annotated[int, Field(ge=1, le=1 << 20)]
TokenCount = Annotated[float, Field(ge=0, le=1 << 20)]
Value = Annotated[float, Field(ge=0, le=1e12)]
Coefficient = Annotated[float, Field(ge=-1e12, le=1e12)]
Milliseconds = Annotated[float, Field(ge=0, le=1e9)]
Length = Field(min_length=2, max_length=MOST_POINTS)


class Model(BaseModel):
    """Base of all that a profile holds: immutable and finite; what a newer version adds is ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class Line(Model):
    """base + slope * tokens, in ms or bytes, never below 0."""

    kind: Literal["line"] = "line"
    base: Coefficient
    slope: Coefficient

    def at(self, tokens: ArrayLike) -> Values:
        """The values at `tokens`, in their shape."""
        return np.maximum(self.base + self.slope * np.asarray(tokens, np.float64), 0.0)


class Quadratic(Model):
    """base + slope * tokens + square * tokens^2, in ms, never below 0."""

    kind: Literal["quadratic"] = "quadratic"
    base: Coefficient
    slope: Coefficient
    square: Coefficient

    def at(self, tokens: ArrayLike) -> Values:
        """The values at `tokens`, in their shape."""
        n = np.asarray(tokens, np.float64)
        return np.maximum(self.base + (self.slope + self.square * n) * n, 0.0)


class Table(Model):
    """`values` in ms at `tokens`: straight from each to the next, beyond the ends as in the last piece
    there, never below 0."""

    kind: Literal["table"] = "table"
    tokens: Annotated[tuple[TokenCount, ...], Strict(False), Length, AfterValidator(_rising)]
    values: Annotated[tuple[Value, ...], Strict(False), Length, AfterValidator(_not_falling)]

    @model_validator(mode="after")
    def _of_one_length(self) -> Self:
        if len(self.tokens) != len(self.values):
            raise ValueError(f"{len(self.tokens)} tokens do not match {len(self.values)} values")
        return self

    def at(self, tokens: ArrayLike) -> Values:
        """The values at `tokens`, in their shape."""
        n = np.asarray(tokens, np.float64)
        known, values = np.array(self.tokens, np.float64), np.array(self.values, np.float64)
        piece = np.clip(np.searchsorted(known, n, side="right") - 1, 0, len(known) - 2)
        slope = np.diff(values) / np.diff(known)
        return np.maximum(values[piece] + slope[piece] * (n - known[piece]), 0.0)


Curve = Annotated[Line | Quadratic | Table, Field(discriminator="kind")]


class LayerProfile(Model):
    """One layer, one clip: `curve` without merging against the tokens that enter; what merging adds;
    what each token spares that is merged away in front of the MLP."""

    curve: Curve
    merge_ms: Line
    mlp_ms_per_token: Milliseconds

    def ms(self, tokens: ArrayLike, removed: ArrayLike) -> Values:
        """Milliseconds of layers that `tokens` enter and that merge away `removed` of them, elementwise."""
        gone = np.asarray(removed, np.float64)
        merging = np.where(gone > 0, self.merge_ms.at(tokens), 0.0) - self.mlp_ms_per_token * gone
        return np.maximum(self.curve.at(tokens) + merging, 0.0)


class CodecProfile(Model):
    """One codec against the tokens of a clip; for pixels every slope is 0."""

    kind: Literal["tokens", "pixels"]
    bytes: Line
    encode_ms: Line
    decode_ms: Line


class FitError(Model):
    """How far a curve is from token counts that it was not fitted on: R², mean and worst relative error."""

    r2: Annotated[float, Field(le=1)]
    mean_error: Value
    worst_error: Value
    chosen: bool = False


class Machine(Model):
    """Where, on what and when a profile was measured."""

    host: Text
    processor: Text
    system: Text
    dtype: Text
    device: Text
    threads: Count
    versions: Annotated[dict[Name, Text], Field(max_length=32)] = Field(default_factory=dict)
    made_at: Text = ""


class Profile(Model):
    """One model on one machine. `embed_ms` includes preprocessing; `overhead_ms` comes at either side of
    a cut; `fits` says how near each kind of curve came to the layers, and which was chosen."""

    schema_version: Literal[1] = 1
    machine: Machine
    model: Name
    num_layers: Count
    num_tokens: Count
    dim: Count
    layer: LayerProfile
    embed_ms: Milliseconds
    classify_ms: Milliseconds
    codecs: Annotated[dict[Name, CodecProfile], Field(max_length=MOST_CODECS)]
    fits: Annotated[dict[Name, FitError], Field(max_length=8)] = Field(default_factory=dict)
    overhead_ms: Milliseconds = 0.0


def parse_profile(data: Mapping[str, Any], where: str) -> Profile:
    """The profile in `data`, from JSON or the wire; ConfigError in one line naming `where` and the key."""
    try:
        return Profile.model_validate(dict(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key = ".".join(str(part) for part in first["loc"][:6])[:120]
        raise ConfigError(
            f"{where}: profile: {_visible(key)}: {_visible(first['msg']).removeprefix('Value error, ')[:200]}"
        ) from None


def _visible(text: str) -> str:
    """`text` on one line, without characters that would command a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)
