"""What a device hears of its cloud."""

import logging
from dataclasses import dataclass

from pipeline.items import Packet
from transport.messages import Result, Welcome


@dataclass(frozen=True, slots=True)
class LinkUp:
    """Connected, or connected `again`, after trouble. `rtt_s` is the round trip of an empty message."""

    peer: str
    welcome: Welcome
    rtt_s: float
    again: bool = False

    @property
    def log_level(self) -> int:
        """Who has read of trouble wants to read of its end."""
        return logging.WARNING if self.again else logging.INFO


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The link was lost; what is unanswered will be sent again."""

    reason: str
    peer: str


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
