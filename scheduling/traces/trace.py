"""How fast a link is over time, and when what is sent over it has left."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError

BITS_PER_MEGABIT = 1e6
MOST_MBPS = 1e6
MOST_RTT_MS = 60_000.0
MOST_SECONDS = 31 * 86_400.0
MOST_SAMPLES = 10_000_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """The uplink of one measurement, step by step: `mbps[i]` holds from `times_s[i]` to `times_s[i + 1]`.

    times_s [n] starts at 0 and rises, mbps [n] is in Mbit/s, rtt_ms [n] in milliseconds or absent;
    the last sample holds up to `duration_s`. From there a looped trace begins again, any other one keeps
    its last sample. Raises ConfigError for values that are no such trace.
    """

    name: str
    times_s: Floats
    mbps: Floats
    duration_s: float
    rtt_ms: Floats | None = None
    looped: bool = True
    run: int = 1
    technology: str | None = None
    group: str = ""
    _sent: Floats = field(init=False, repr=False)
    """Megabits sent by the start of each sample and by the end of the last one, [n + 1]."""

    def __post_init__(self) -> None:
        _check(self)
        lengths_s = np.diff(self.times_s, append=self.duration_s)
        sent = np.concatenate(([0.0], np.cumsum(self.mbps * lengths_s)))
        object.__setattr__(self, "_sent", sent)

    @property
    def total_megabits(self) -> float:
        """What the link carries over one length of the trace."""
        return float(self._sent[-1])

    @property
    def mean_mbps(self) -> float:
        """The mean over one length of the trace."""
        return self.total_megabits / self.duration_s

    def mbps_at(self, t_s: float) -> float:
        """The rate at `t_s`, in Mbit/s."""
        return float(self.mbps[self._index(t_s)])

    def rtt_ms_at(self, t_s: float, default: float) -> float:
        """The round trip at `t_s` in milliseconds; `default` where the trace knows none."""
        return default if self.rtt_ms is None else float(self.rtt_ms[self._index(t_s)])

    def megabits(self, start_s: float, stop_s: float) -> float:
        """What the link carries from `start_s` to `stop_s`: the integral of the rate."""
        sent = self._sent_by(np.array([start_s, stop_s], np.float64))
        return float(sent[1] - sent[0])

    def finish_s(self, start_s: float, num_bytes: int) -> float:
        """When a message whose first byte leaves at `start_s` has wholly left; inf where it never does."""
        return float(self.finish_many(np.array([start_s]), np.array([num_bytes]))[0])

    def finish_many(self, start_s: NDArray[np.floating], num_bytes: NDArray[np.number]) -> Floats:
        """`finish_s` for arrays that broadcast against each other; each message has the link to itself."""
        start, megabits = np.broadcast_arrays(
            np.asarray(start_s, np.float64), np.asarray(num_bytes, np.float64) * 8 / BITS_PER_MEGABIT
        )
        rounds = self._rounds(start)
        wanted = self._sent_by(start - rounds * self.duration_s) + megabits
        finish = rounds * self.duration_s + self._time_of(wanted)
        return np.where(megabits > 0, np.maximum(start, finish), start)

    def _rounds(self, t_s: Floats) -> Floats:
        """How often the trace has gone round before `t_s`."""
        return np.floor(t_s / self.duration_s) if self.looped else np.zeros_like(t_s)

    def _index(self, t_s: float) -> int:
        within_s = t_s % self.duration_s if self.looped else t_s
        return max(0, int(np.searchsorted(self.times_s, within_s, side="right")) - 1)

    def _sent_by(self, t_s: Floats) -> Floats:
        """Megabits from 0 to `t_s`."""
        rounds = self._rounds(t_s)
        within_s = t_s - rounds * self.duration_s
        index = np.maximum(0, np.searchsorted(self.times_s, within_s, side="right") - 1)
        partial: Floats = self._sent[index] + self.mbps[index] * (within_s - self.times_s[index])
        return rounds * self.total_megabits + partial

    def _time_of(self, megabits: Floats) -> Floats:
        """The earliest time by which `megabits` (above 0) have been sent."""
        rounds, within = np.zeros_like(megabits), megabits
        if self.looped and self.total_megabits > 0:
            # A message that ends with the trace's last bit ends in that round, not in the next.
            rounds = np.ceil(megabits / self.total_megabits) - 1
            within = megabits - rounds * self.total_megabits
            rounds = np.where(within > 0, rounds, rounds - 1)
            within = np.where(within > 0, np.minimum(within, self.total_megabits), self.total_megabits)
        index = np.minimum(np.searchsorted(self._sent[1:], within), len(self.mbps) - 1)
        missing, rate = within - self._sent[index], self.mbps[index]
        late_s = np.divide(missing, rate, out=np.full_like(megabits, np.inf), where=rate > 0)
        finish: Floats = rounds * self.duration_s + self.times_s[index] + late_s
        return finish


def _check(trace: Trace) -> None:
    """ConfigError unless all values of `trace` are what its docstring says."""
    columns = {"times_s": trace.times_s, "mbps": trace.mbps}
    if trace.rtt_ms is not None:
        columns["rtt_ms"] = trace.rtt_ms
    if not len(trace.times_s):
        raise ConfigError(f"{trace.name}: there are no samples; a trace has at least one")
    for column, values in columns.items():
        if values.shape != (len(trace.times_s),):
            raise ConfigError(f"{trace.name}: {len(values)} {column} for {len(trace.times_s)} times")
    _refuse(trace.name, "Mbit/s from 0 to 1e6", trace.mbps, (trace.mbps >= 0) & (trace.mbps <= MOST_MBPS))
    if trace.rtt_ms is not None:
        fits = (trace.rtt_ms >= 0) & (trace.rtt_ms <= MOST_RTT_MS)
        _refuse(trace.name, f"a round trip from 0 to {MOST_RTT_MS:g} ms", trace.rtt_ms, fits)
    rises = np.diff(trace.times_s, prepend=-np.inf) > 0
    rises[0] = trace.times_s[0] == 0
    _refuse(trace.name, "a time after the one before it, from 0 on", trace.times_s, rises)
    if MOST_SECONDS < trace.duration_s < np.inf:
        raise ConfigError(
            f"{trace.name}: lasts {trace.duration_s:g} s; a trace lasts at most {MOST_SECONDS:g} s"
        )
    if not trace.times_s[-1] < trace.duration_s < np.inf:
        raise ConfigError(f"{trace.name}: duration {trace.duration_s:g} s is not after the last sample")


def _refuse(name: str, right: str, values: Floats, fits: NDArray[np.bool_]) -> None:
    if not fits.all():
        first = int(np.argmin(fits))
        raise ConfigError(f"{name}: value {first + 1} is {values[first]:g}, not {right}")
