"""What flows through the pipeline: one immutable value for each step of a clip's life."""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a source. `pixels` is uint8 [H, W, 3], RGB, already of the model's input size."""

    source: str
    index: int
    pts_s: float
    captured_at: float
    pixels: Pixels
    label: str | None = None


@dataclass(frozen=True, slots=True)
class SourceStart:
    """The first item of a source, once its nominal `rate` in frames a second is known."""

    source: str
    rate: float


@dataclass(frozen=True, slots=True)
class SourceBreak:
    """Between two frames of a live source that belong to no common clip; `reason` says why. `closed`: it
    was told to end, and nobody waits for the clip that has begun."""

    source: str
    reason: str
    closed: bool = False


@dataclass(frozen=True, slots=True)
class SourceEnd:
    """The last item of a source. `error` says why it ended early; None after a normal end."""

    source: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """`frames` uint8 [T, H, W, 3], ready for the model. Times `*_s` are presentation times of the
    source; `ready_at` and `deadline` are on the device's monotonic clock. The last `padded`
    frames repeat the one before them: the source ended or broke off. `label` is the truth, if known."""

    clip_id: str
    source: str
    seq: int
    start_s: float
    end_s: float
    ready_at: float
    frames: Pixels
    deadline: float = math.inf
    padded: int = 0
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Pruning:
    """How many tokens each layer merges away: `removed[l]` for layer l + 1."""

    name: str
    parameter: float
    removed: tuple[int, ...]

    def __str__(self) -> str:
        return self.name if self.name == "none" else f"{self.name}:{self.parameter:g}"

    def tokens_after(self, num_tokens: int, split: int) -> int:
        """Tokens left of `num_tokens` after the first `split` layers."""
        return num_tokens - sum(self.removed[:split])


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known when a plan is chosen: `budget_ms` until the deadline; the link's estimate; how long
    device, link and cloud stay busy with earlier clips; how much slower than its profile each machine is
    now; by what factor an expected latency has to stay within the budget. `connected` False: no link."""

    budget_ms: float = math.inf
    mbps: float = 10.0
    rtt_ms: float = 0.0
    device_wait_ms: float = 0.0
    link_wait_ms: float = 0.0
    cloud_wait_ms: float = 0.0
    device_factor: float = 1.0
    cloud_factor: float = 1.0
    caution: float = 1.0
    connected: bool = True


@dataclass(frozen=True, slots=True)
class Alternative:
    """A plan that was near when another was chosen: in which respect, whether it is of a "better", the
    "same" or a "worse" accuracy level, and its expected latency."""

    what: str
    level: str
    pruning: Pruning
    split: int
    codec: str
    expected_ms: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run one clip. `split` 0 sends pixels; 1..N cuts after that layer; N + 1 stays on the device.

    `expected_ms` holds the predicted latency in parts and their "total", `expected_bytes` the payload by
    the profile; `why` says what chose the plan, `near` what else was considered, `moment` what was known.
    """

    pruning: Pruning
    split: int
    codec: str
    expected_ms: dict[str, float] = field(default_factory=dict)
    why: str = ""
    near: tuple[Alternative, ...] = ()
    expected_bytes: float = 0.0
    moment: Moment | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A clip with the plan that the schedule stage chose for it, and when."""

    clip: Clip
    plan: Plan
    planned_at: float


@dataclass(frozen=True, slots=True)
class Features:
    """What crosses the cut: `array` float32 [n, D] and `sizes` [n] after `split` layers, or the
    clip's pixels uint8 [T, H, W, 3] (and no sizes) when `split` is 0."""

    clip: Clip
    plan: Plan
    array: NDArray[np.float32] | Pixels
    sizes: NDArray[np.uint16] | None
    latency_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Header:
    """What the cloud has to know about a packet's payload: `shape` [n, D] or [T, H, W, 3]."""

    clip_id: str
    source: str
    seq: int
    split: int
    pruning: str
    removed: tuple[int, ...]
    codec: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Packet:
    """Encoded features: header fields, payload bytes, and token sizes as little-endian uint16
    (empty when every token still stands for itself). `clip` and `plan` stay on the device."""

    header: Header
    payload: bytes
    sizes: bytes = b""
    clip: Clip | None = None
    plan: Plan | None = None
    latency_ms: dict[str, float] = field(default_factory=dict)


class Status(StrEnum):
    """How a clip ended."""

    OK = "ok"
    LATE = "late"
    DROPPED = "dropped"
    FAILED = "failed"


class Ran(StrEnum):
    """Where a clip's layers ran."""

    DEVICE = "device"
    SPLIT = "split"
    CLOUD = "cloud"
    RESCUE = "rescue"
    PEERS = "peers"


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class of a prediction, with softmax confidence 0..1."""

    name: str
    class_id: int
    confidence: float


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """What became of a clip at one part of an ensemble, which counts from 1. `peer` ran it, None where nobody
    had it; `missing` says why its token is not in the answer, `latency_ms` where its time went."""

    part: int
    peer: str | None = None
    latency_ms: dict[str, float] = field(default_factory=dict)
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """The one record of a clip: how it ended, what it shows (best class first), how it got there."""

    clip_id: str
    source: str
    seq: int
    status: Status
    reason: str | None = None
    start_s: float = 0.0
    end_s: float = 0.0
    padded: int = 0
    label: str | None = None
    classes: tuple[ClassScore, ...] = ()
    plan: Plan | None = None
    ran: Ran | None = None
    latency_ms: dict[str, float] = field(default_factory=dict)
    sent_bytes: int = 0
    energy_j: float | None = None
    sla_ms: float | None = None
    model: str = ""
    parts: tuple[PartAnswer, ...] = ()

    @classmethod
    def of(cls, clip: Clip, status: Status, **rest: Any) -> Self:
        """The record of `clip`, with what is known of it filled in."""
        return cls(
            clip_id=clip.clip_id,
            source=clip.source,
            seq=clip.seq,
            status=status,
            start_s=clip.start_s,
            end_s=clip.end_s,
            padded=clip.padded,
            label=clip.label,
            **rest,
        )
