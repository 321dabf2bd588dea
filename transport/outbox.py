"""What the device has sent, or is about to send, and has no answer to yet."""

from dataclasses import dataclass

from pipeline.items import Packet
from transport.events import Acked


@dataclass(slots=True)
class Waiting:
    """One clip's packet, its encoded message, and when its first byte went out on this link. Nobody waits
    for the answer of a `withdrawn` one, but the cloud still counts it."""

    packet: Packet
    data: bytes
    sent_at: float | None = None
    withdrawn: bool = False


class Outbox:
    """Unanswered clips in the order they were handed in, and the clock readings of their messages.

    An upload is timed from the later of its own first byte and the previous message's last byte,
    whose arrival the previous acknowledgement marks.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._last_ack_at: float | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, clip_id: str) -> bool:
        return clip_id in self._waiting

    @property
    def wanted(self) -> int:
        """Clips whose answer somebody waits for."""
        return sum(not entry.withdrawn for entry in self._waiting.values())

    @property
    def under_way(self) -> bool:
        """Whether a clip is out whose answer somebody waits for."""
        return any(entry.sent_at is not None and not entry.withdrawn for entry in self._waiting.values())

    @property
    def overdue(self) -> bool:
        """Whether a clip is out whose answer nobody waits for any more."""
        return any(entry.withdrawn for entry in self._waiting.values())

    def withdraw(self, clip_id: str) -> None:
        """Nobody waits for this answer any more; a clip that has not left yet never will."""
        entry = self._waiting.get(clip_id)
        if entry is not None and entry.sent_at is None:
            del self._waiting[clip_id]
        elif entry is not None:
            entry.withdrawn = True

    def add(self, packet: Packet, data: bytes) -> None:
        self._waiting[packet.header.clip_id] = Waiting(packet, data)

    def next_unsent(self, max_in_flight: int) -> Waiting | None:
        """The oldest clip that is not under way, unless `max_in_flight` already are."""
        for index, entry in enumerate(self._waiting.values()):
            if index >= max_in_flight:
                return None
            if entry.sent_at is None:
                return entry
        return None

    def acknowledge(self, clip_id: str, now: float) -> Acked | None:
        """How long the upload of this clip took; None for a clip that is not under way."""
        entry = self._waiting.get(clip_id)
        if entry is None or entry.sent_at is None:
            return None
        began = entry.sent_at if self._last_ack_at is None else max(entry.sent_at, self._last_ack_at)
        self._last_ack_at = now
        return Acked(clip_id, len(entry.data), now - began)

    def packet(self, clip_id: str) -> Packet | None:
        """The packet of a clip whose answer is waited for; None for any other."""
        entry = self._waiting.get(clip_id)
        return None if entry is None or entry.withdrawn else entry.packet

    def answer(self, clip_id: str) -> Packet | None:
        """Take out an answered clip; None when it was answered before, or never sent."""
        entry = self._waiting.pop(clip_id, None)
        return entry.packet if entry else None

    def link_lost(self) -> None:
        """Nothing is under way any more: all that is unanswered goes out again, oldest first."""
        self._last_ack_at = None
        self._waiting = {clip_id: entry for clip_id, entry in self._waiting.items() if not entry.withdrawn}
        for entry in self._waiting.values():
            entry.sent_at = None

    def oldest_sent_at(self, now: float) -> float:
        """When the clip that has been under way longest was sent; `now` when none is."""
        return min(
            (entry.sent_at for entry in self._waiting.values() if entry.sent_at is not None), default=now
        )

    def oversized(self, limit_bytes: int) -> list[Waiting]:
        """The clips whose message is over `limit_bytes`."""
        return [entry for entry in self._waiting.values() if len(entry.data) > limit_bytes]
