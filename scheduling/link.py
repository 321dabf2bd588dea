"""What the link is worth now: bandwidth and round trip, from what crossed it and what did not."""

from collections import deque
from dataclasses import dataclass
from statistics import median

from scheduling.bandwidth import HarmonicMean

MEGABIT_MS = 8 / 1000  # a byte in a millisecond, in Mbit/s
SMALL_BYTES = 1024
LEAST_TRANSFER_SHARE = 0.05
STALLED_S = 1.0
LEAST_MBPS = 1e-6


@dataclass(frozen=True, slots=True)
class LinkEstimate:
    """Uplink bandwidth and round trip; `age_s` since the last observation, None before the first."""

    mbps: float
    rtt_ms: float
    age_s: float | None
    connected: bool = True


@dataclass(frozen=True, slots=True)
class LinkRules:
    """How the tracker learns. Observations count for `memory_s`, the newest for ever; after `silence_s`
    without one a probe is due, of at most `probe_bytes`, and of about `probe_ms` at the estimate."""

    window: int = 5
    prior_mbps: float = 10.0
    prior_rtt_ms: float = 40.0
    memory_s: float = 2.5
    silence_s: float = 1.0
    probe_bytes: int = 32 * 1024
    least_probe_bytes: int = 4 * 1024
    probe_ms: float = 25.0


@dataclass(slots=True)
class _Sent:
    num_bytes: int
    at: float


class LinkTracker:
    """Learns from acknowledgements, round trips and silence. All times are seconds of one monotonic clock.

    Messages arrive in the order in which they were sent, so an upload runs from the later of its own
    first byte and the previous acknowledgement, which marks the previous message's last byte.
    """

    def __init__(self, rules: LinkRules | None = None) -> None:
        self.rules = rules or LinkRules()
        self._observed: deque[tuple[float, int, float]] = deque(maxlen=self.rules.window)
        self._round_trips_ms: deque[float] = deque(maxlen=9)
        self._under_way: dict[str, _Sent] = {}
        self._last_ack_at: float | None = None
        self._last_heard_at: float | None = None
        self._stalled = False
        self._connected = True

    def sent(self, key: str, num_bytes: int, now: float) -> None:
        """A message of `num_bytes` has begun to leave."""
        self._under_way[key] = _Sent(num_bytes, now)

    def acknowledged(self, key: str, now: float) -> float | None:
        """The other end has all of message `key`; the ms it took, None for a message not under way."""
        message = self._under_way.pop(key, None)
        if message is None:
            return None
        began = message.at if self._last_ack_at is None else max(message.at, self._last_ack_at)
        self._last_ack_at = now
        self._learn(message.num_bytes, now - began, now)
        return (now - began) * 1000

    def round_trip(self, seconds: float, now: float) -> None:
        """A message of a few bytes went there and back."""
        self._round_trips_ms.append(seconds * 1000)
        self._last_heard_at = now

    def link_up(self, rtt_s: float, now: float) -> None:
        """Connected, or connected again: what the old link did says little of the new one."""
        self._connected = True
        self._forget_traffic()
        self.round_trip(rtt_s, now)

    def link_down(self) -> None:
        """Nothing is under way any more, and nothing can be sent."""
        self._connected = False
        self._forget_traffic()

    def estimate(self, now: float) -> LinkEstimate:
        """What to expect of a message that leaves now: the harmonic mean of late observations, but not
        more than a message that is still under way leaves possible."""
        fresh = [seen for seen in self._observed if now - seen[0] <= self.rules.memory_s]
        mean = HarmonicMean(self.rules.window, self.rules.prior_mbps)
        for _, num_bytes, seconds in fresh or list(self._observed)[-1:]:
            mean.add(num_bytes, seconds)
        mbps = min(mean.mbps, self._possible_mbps(now))
        age_s = None if not self._observed else now - self._observed[-1][0]
        return LinkEstimate(max(mbps, LEAST_MBPS), self._rtt_ms, age_s, self._connected)

    def probe_due(self, now: float) -> int | None:
        """The payload of a probe that should leave now, in bytes; None when there is no need."""
        if not self._connected or self._under_way:
            return None
        silent = self._last_heard_at is None or now - self._last_heard_at >= self.rules.silence_s
        if not silent and not self._stalled:
            return None
        wanted = self.estimate(now).mbps / MEGABIT_MS * self.rules.probe_ms
        return int(min(max(wanted, self.rules.least_probe_bytes), self.rules.probe_bytes))

    @property
    def _rtt_ms(self) -> float:
        return median(self._round_trips_ms) if self._round_trips_ms else self.rules.prior_rtt_ms

    def _possible_mbps(self, now: float) -> float:
        """What the oldest message under way allows, by how long it has been waited for."""
        front = next(iter(self._under_way.values()), None)
        if front is None:
            return float("inf")
        began = front.at if self._last_ack_at is None else max(front.at, self._last_ack_at)
        waited_ms = (now - began) * 1000 - self._rtt_ms
        return max(front.num_bytes, SMALL_BYTES) * MEGABIT_MS / waited_ms if waited_ms > 0 else float("inf")

    def _learn(self, num_bytes: int, seconds: float, now: float) -> None:
        self._last_heard_at = now
        if num_bytes <= SMALL_BYTES:
            self._round_trips_ms.append(seconds * 1000)
            return
        transfer_s = max(seconds - self._rtt_ms / 1000, seconds * LEAST_TRANSFER_SHARE)
        if self._stalled:  # what was seen while nothing moved says nothing of a link that moves again
            self._observed.clear()
        self._stalled = seconds >= STALLED_S
        self._observed.append((now, num_bytes, transfer_s))

    def _forget_traffic(self) -> None:
        self._under_way.clear()
        self._last_ack_at = None
