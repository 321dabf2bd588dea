"""What every candidate plan costs, as arrays: computed once, so that one decision is a few operations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError
from pipeline.items import Pruning
from scheduling.levels import Levels
from scheduling.profile import CodecProfile, Profile
from scheduling.rescue import LocalFinishes

Floats = NDArray[np.float64]
NOTHING = "none"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to run a clip; `rank` 0 is the most accurate level. `codec` is "none" where nothing is sent."""

    pruning: Pruning
    split: int
    codec: str
    rank: int


@dataclass(frozen=True, slots=True)
class CostTable:
    """Candidates in order of rank, and per candidate [m]: the head's and the tail's ms, the payload's
    bytes, its ms to encode and decode, 1.0 where something crosses the link, 1.0 where the device's
    model runs, and the device's ms until the clip is out if no answer ever comes (rescue)."""

    candidates: tuple[Candidate, ...]
    num_layers: int
    head_ms: Floats
    tail_ms: Floats
    num_bytes: Floats
    encode_ms: Floats
    decode_ms: Floats
    sends: Floats
    uses_model: Floats
    rescue_ms: Floats

    def __len__(self) -> int:
        return len(self.candidates)

    @property
    def ranks(self) -> NDArray[np.int64]:
        """The candidates' ranks [m], rising."""
        return np.array([candidate.rank for candidate in self.candidates], np.int64)

    @property
    def columns(self) -> Floats:
        """All costs side by side [m, 8]."""
        return np.stack(
            [
                self.head_ms,
                self.tail_ms,
                self.num_bytes,
                self.encode_ms,
                self.decode_ms,
                self.sends,
                self.uses_model,
                self.rescue_ms,
            ],
            axis=1,
        )

    def take(self, kept: Sequence[int] | NDArray[np.int64]) -> "CostTable":
        """The table of these candidates alone."""
        return _table(
            [self.candidates[index] for index in kept], self.num_layers, self.columns[np.asarray(kept, int)]
        )


def cost_table(
    levels: Levels, splits: Sequence[int], device: Profile, cloud: Profile, *, prune: bool = True
) -> CostTable:
    """Every (level, split) that exists, priced by the two machines' profiles; without those that another
    beats in accuracy and in every cost, unless `prune` is off.

    ConfigError for a codec that a profile lacks, or where no candidate is left.
    """
    if (device.num_layers, device.num_tokens) != (cloud.num_layers, cloud.num_tokens):
        raise ConfigError("the device's and the cloud's profile are of models of different shape")
    layers = _Layers(device, cloud)
    rows = sorted(_rows(levels, splits, layers), key=lambda row: row[0].rank)
    if not rows:
        raise ConfigError("no plan is left: nothing may be sent, and nothing may stay on the device")
    table = _table([row[0] for row in rows], device.num_layers, np.array([row[1] for row in rows]))
    return table.take(undominated(table)) if prune else table


def undominated(table: CostTable) -> list[int]:
    """The candidates that no other one equals or beats in rank and in every cost."""
    columns, ranks = table.columns, table.ranks
    kept: list[int] = []
    for index in np.lexsort((columns.sum(1), ranks)):
        mine = columns[index]
        if not kept or not (columns[kept] <= mine).all(1).any():
            kept.append(int(index))
    return sorted(kept)


def _table(candidates: Sequence[Candidate], num_layers: int, columns: Floats) -> CostTable:
    return CostTable(tuple(candidates), num_layers, *(np.ascontiguousarray(column) for column in columns.T))


def _rows(
    levels: Levels, splits: Sequence[int], layers: "_Layers"
) -> Iterator[tuple[Candidate, tuple[float, ...]]]:
    last = layers.num_layers + 1
    for rank, group in enumerate(levels.groups):
        for level in group:
            for split in splits:
                if layers.carries(level.codec, split):
                    codec = NOTHING if split == last or level.codec is None else level.codec
                    candidate = Candidate(level.pruning, split, codec, rank)
                    yield candidate, layers.costs(level.pruning, split, codec)


class _Layers:
    """Prices one candidate at a time, each pruning's layers only once."""

    def __init__(self, device: Profile, cloud: Profile) -> None:
        self._device = device
        self._cloud = cloud
        self.num_layers = device.num_layers
        self._sums = cache(self._layer_sums)
        self._finishes = LocalFinishes(device)

    def carries(self, codec: str | None, split: int) -> bool:
        """Whether `codec` is what crosses the link at `split`."""
        if codec is None or split == self.num_layers + 1:
            return codec is None and split == self.num_layers + 1
        return _codec(self._device, codec).kind == ("pixels" if split == 0 else "tokens")

    def costs(self, pruning: Pruning, split: int, codec: str) -> tuple[float, ...]:
        """A row of the table."""
        device, cloud, n = self._device, self._cloud, self.num_layers
        device_sums, cloud_sums = self._sums(pruning)
        embedded_ms = device.overhead_ms + device.embed_ms
        if split == n + 1:
            local_ms = embedded_ms + device_sums[n] + device.classify_ms
            return (local_ms, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, local_ms)
        tail_ms = cloud.overhead_ms + cloud_sums[n] - cloud_sums[split] + cloud.classify_ms
        tokens = pruning.tokens_after(device.num_tokens, split)
        link = (
            float(_codec(device, codec).bytes.at(tokens)) + (2 * tokens if _merged(pruning, split) else 0),
            float(_codec(device, codec).encode_ms.at(tokens)),
            float(_codec(cloud, codec).decode_ms.at(tokens)),
        )
        finish_ms = self._finishes.fastest_ms(split, tokens)
        if split == 0:
            return (0.0, cloud.embed_ms + tail_ms, *link, 1.0, 0.0, finish_ms)
        head_ms = embedded_ms + device_sums[split]
        return (head_ms, tail_ms, *link, 1.0, 1.0, head_ms + finish_ms)

    def _layer_sums(self, pruning: Pruning) -> tuple[Floats, Floats]:
        entering = [pruning.tokens_after(self._device.num_tokens, split) for split in range(self.num_layers)]
        device, cloud = (
            np.concatenate([[0.0], np.cumsum(profile.layer.ms(entering, pruning.removed))])
            for profile in (self._device, self._cloud)
        )
        return device, cloud


def _codec(profile: Profile, name: str) -> CodecProfile:
    try:
        return profile.codecs[name]
    except KeyError:
        known = ", ".join(profile.codecs)
        raise ConfigError(
            f"codec {name} is not in the profile of {profile.machine.host}, which has {known}"
        ) from None


def _merged(pruning: Pruning, split: int) -> bool:
    return split > 0 and any(pruning.removed[:split])
