"""Links for tests: steps in time, one that can be turned, and a clock that sleeps at once."""

import anyio.lowlevel


class Steps:
    """`rates[i]` Mbit/s from second i on; the last one stays."""

    def __init__(self, *rates: float, rtt_ms: float | None = None) -> None:
        self.rates = rates
        self.rtt_ms = rtt_ms

    def mbps_at(self, t_s: float) -> float:
        return self.rates[min(int(t_s), len(self.rates) - 1)]

    def rtt_ms_at(self, _t_s: float, default: float) -> float:
        return default if self.rtt_ms is None else self.rtt_ms


class Turned(Steps):
    """A link whose rate is set from outside."""

    def __init__(self, mbps: float) -> None:
        super().__init__(mbps)

    def turn(self, mbps: float) -> None:
        self.rates = (mbps,)


class LateClock:
    """A clock whose sleepers always wake a little late, without any real time passing."""

    def __init__(self, late_s: float = 0.0) -> None:
        self._now = 0.0
        self._late_s = late_s

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self._now += seconds + self._late_s
        await anyio.lowlevel.checkpoint()
