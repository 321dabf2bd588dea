"""Round trips that are measured beside the traffic of clips."""

from dataclasses import dataclass, field
from itertools import count

import anyio

from pipeline.errors import LinkLost


@dataclass(slots=True)
class _Pending:
    sent_at: float
    done: anyio.Event = field(default_factory=anyio.Event)
    seconds: float | None = None


class Probes:
    """The probes that wait for their reply."""

    def __init__(self) -> None:
        self._nonces = count(1)
        self._pending: dict[int, _Pending] = {}

    def begin(self, now: float) -> int:
        """The nonce of a new probe that leaves now."""
        nonce = next(self._nonces)
        self._pending[nonce] = _Pending(now)
        return nonce

    def answered(self, nonce: int, now: float) -> None:
        """Take a reply; one that nobody waits for is nothing."""
        pending = self._pending.get(nonce)
        if pending is not None:
            pending.seconds = now - pending.sent_at
            pending.done.set()

    def link_lost(self) -> None:
        """No probe that is under way will be answered."""
        for pending in self._pending.values():
            pending.done.set()

    async def seconds(self, nonce: int) -> float:
        """Wait for the reply to `nonce`; LinkLost when the link goes first."""
        pending = self._pending[nonce]
        try:
            await pending.done.wait()
        finally:
            del self._pending[nonce]
        if pending.seconds is None:
            raise LinkLost("the link was lost before the probe's reply")
        return pending.seconds
