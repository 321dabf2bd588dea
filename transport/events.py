"""What a device hears of its cloud."""

from dataclasses import dataclass

from pipeline.items import Packet
from transport.messages import Result, Welcome


@dataclass(frozen=True, slots=True)
class LinkUp:
    """Connected, or connected again. `rtt_s` is the round trip of an empty message."""

    peer: str
    welcome: Welcome
    rtt_s: float


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The link was lost; what is unanswered will be sent again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Acked:
    """The cloud has a clip's message: one observation of the bandwidth, a return trip included."""

    clip_id: str
    num_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Answered:
    """A clip's one result. `result.error` says why the cloud could not answer it, if so."""

    packet: Packet
    result: Result


Event = LinkUp | LinkDown | Acked | Answered
