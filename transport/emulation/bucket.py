"""When bytes have left over a link whose rate moves."""

from math import isinf
from typing import Protocol

BITS_PER_MEGABIT = 1e6
STEP_S = 0.005
LEAST_WAIT_S, ASK_AGAIN_S = 1e-5, 0.02
LONGEST_LAG_S = 1.0


class Shape(Protocol):
    """A link over time, in seconds since it began."""

    def mbps_at(self, t_s: float, /) -> float: ...

    def rtt_ms_at(self, t_s: float, default: float, /) -> float: ...


class Steady:
    """A link of one rate, which leaves the round trip to others."""

    def __init__(self, mbps: float) -> None:
        self._mbps = mbps

    def mbps_at(self, _t_s: float, /) -> float:
        return self._mbps

    def rtt_ms_at(self, _t_s: float, default: float, /) -> float:
        return default


class TokenBucket:
    """Spends the capacity of `shape`, which began at `began_s`, on chunks, one after the other.

    Capacity that nobody waited for is lost, so nothing leaves sooner than the shape allows. Capacity that
    passed while a chunk waited is kept for it, for up to a second, so a late question costs nothing.
    """

    def __init__(self, shape: Shape, began_s: float = 0.0) -> None:
        self.left_s = began_s
        """When the last byte that was paid for had left."""
        self._shape = shape
        self._began_s = began_s
        self._paid_bits = 0.0

    def take(self, num_bytes: int, arrived_s: float, now: float) -> float:
        """0 once `num_bytes`, there since `arrived_s`, have wholly left; else how long to wait and ask again.

        Asking again goes on with the same chunk. The wait is short, since the rate may rise meanwhile.
        """
        self.left_s = max(self.left_s, arrived_s, now - LONGEST_LAG_S)
        missing_bits = num_bytes * 8 - self._paid_bits
        while missing_bits > 0 and self.left_s < now:
            missing_bits -= self._step(missing_bits, now)
        wait_s = self._wait_s(missing_bits, now) if missing_bits > 0 else 0.0
        self._paid_bits = num_bytes * 8 - missing_bits if wait_s else 0.0
        return wait_s

    def give_up(self) -> None:
        """The chunk that waits will not be asked for again."""
        self._paid_bits = 0.0

    def _step(self, missing_bits: float, now: float) -> float:
        """Spend up to one step's capacity; returns its bits."""
        step_s = min(STEP_S, now - self.left_s)
        bits_per_s = self._bits_per_s(self.left_s + step_s / 2)
        if bits_per_s * step_s < missing_bits:
            self.left_s += step_s
            return bits_per_s * step_s
        self.left_s += missing_bits / bits_per_s
        return missing_bits

    def _wait_s(self, missing_bits: float, now: float) -> float:
        bits_per_s = self._bits_per_s(now)
        if bits_per_s <= 0 or isinf(bits_per_s):
            return 0.0 if bits_per_s > 0 else ASK_AGAIN_S
        # Less than this is rounding, and a clock that is waited for might not move at all.
        return min(max(missing_bits / bits_per_s, LEAST_WAIT_S), ASK_AGAIN_S)

    def _bits_per_s(self, at_s: float) -> float:
        return self._shape.mbps_at(at_s - self._began_s) * BITS_PER_MEGABIT
