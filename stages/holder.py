"""Who holds a part of an ensemble, and what it tells of it."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.items import Packet

DISPLACED = "behind: newer clips came first"


class Holder(Protocol):
    """A peer, or the device itself."""

    @property
    def name(self) -> str:
        """How records call it."""

    @property
    def part(self) -> int | None:
        """Which part it would run now, from 0; None for none."""

    @property
    def prompt(self) -> bool:
        """Whether it owes no answer that nobody waits for any more."""

    def offer(self, packet: Packet) -> None:
        """Have it run a clip; the newest count where there is no room for all."""

    def withdraw(self, clip_id: str) -> None:
        """Nobody waits for this clip any more."""


class Hearer(Protocol):
    """Who waits for tokens."""

    def arrived(
        self, clip_id: str, part: int, token: NDArray[np.float32], latency_ms: dict[str, float]
    ) -> None:
        """A part's token [D] of a clip."""

    def missing(self, clip_id: str, part: int, why: str) -> None:
        """There will be none."""

    def lost(self, holder: Holder) -> None:
        """The link to this peer is gone, and whatever it had."""
