"""Traces that nobody measured, and outages laid over any."""

from dataclasses import replace
from math import ceil, isfinite

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError
from scheduling.traces.trace import MOST_SAMPLES, Floats, Trace

Mask = NDArray[np.bool_]

STEP_S = 0.1
MOST_SECONDS = 86_400.0

# One step's correlation and the spread of the logarithm of the rate, and the same of the round trip.
RATE_MEMORY, RATE_SPREAD = 0.98, 0.45
RTT_MEMORY, RTT_SPREAD = 0.8, 0.15


def sampled(name: str, mbps: Floats, step_s: float = STEP_S, rtt_ms: Floats | None = None) -> Trace:
    """The trace of samples that follow one another every `step_s`."""
    times_s = np.arange(len(mbps), dtype=np.float64) * step_s
    return Trace(name, times_s, mbps, len(mbps) * step_s, rtt_ms)


def constant(mbps: float, rtt_ms: float | None = None) -> Trace:
    """A link that never changes."""
    rtt = None if rtt_ms is None else np.array([float(rtt_ms)])
    return sampled(f"{mbps:g} Mbit/s", np.array([float(mbps)]), 1.0, rtt)


def generate_lte(
    seed: int,
    seconds: float,
    *,
    mean_mbps: float = 12.0,
    rtt_ms: float = 35.0,
    outage_every_s: float = 30.0,
    outage_s: float = 1.5,
) -> Trace:
    """A made-up cellular uplink, a sample each 100 ms, the same for the same arguments.

    The logarithm of the rate is a Gauss-Markov process, so the rate wanders around `mean_mbps` and stays
    above 0; on average every `outage_every_s` it is 0 for a time of the mean length `outage_s` (0: never).
    The round trip scatters around `rtt_ms`. Raises ConfigError for a length outside 0.1 s to a day.
    """
    if not STEP_S <= seconds <= MOST_SECONDS:
        raise ConfigError(f"a made-up trace of {seconds:g} s: choose {STEP_S:g} to {MOST_SECONDS:g} s")
    rng = np.random.default_rng(seed)
    steps = round(seconds / STEP_S)
    mbps = mean_mbps * _lognormal(rng, steps, RATE_MEMORY, RATE_SPREAD)
    mbps[_dead(rng, steps, outage_every_s, outage_s)] = 0.0
    rtt = rtt_ms * _lognormal(rng, steps, RTT_MEMORY, RTT_SPREAD)
    return replace(sampled(f"made-up lte {seed}", mbps, rtt_ms=rtt), group="made-up lte")


def _lognormal(rng: np.random.Generator, steps: int, memory: float, spread: float) -> Floats:
    """A process of mean 1 whose logarithm is Gauss-Markov with standard deviation `spread`, [steps]."""
    news = rng.standard_normal(steps) * spread
    news[1:] *= np.sqrt(1 - memory**2)
    logarithm = np.empty(steps)
    level = 0.0
    for step in range(steps):
        level = logarithm[step] = memory * level + news[step]
    return np.asarray(np.exp(logarithm - spread**2 / 2), np.float64)


def _dead(rng: np.random.Generator, steps: int, every_s: float, length_s: float) -> Mask:
    """Where the link is out, bool [steps]: gaps and outages in turn, both exponentially long."""
    dead = np.zeros(steps, np.bool_)
    step = _step(rng, every_s)
    while length_s > 0 and step < steps:
        stop = step + _step(rng, length_s)
        dead[step:stop] = True
        step = stop + _step(rng, every_s)
    return dead


def _step(rng: np.random.Generator, mean_s: float) -> int:
    return max(1, round(rng.exponential(mean_s) / STEP_S))


def outages(trace: Trace, every_s: float, length_s: float) -> Trace:
    """`trace` with an outage in it every `every_s`: of each such period the last `length_s` are dead.

    Periods count from the trace's start. A looped trace is repeated and cut so that its length is a
    whole number of periods; in any other one the last sample, which is kept for ever, stays as it was.
    Raises ConfigError unless 0 < length < every.
    """
    if not (isfinite(every_s) and 0 < length_s < every_s):
        raise ConfigError(
            f"outages {every_s:g}:{length_s:g}: needs EVERY:LENGTH in seconds, LENGTH above 0 and below EVERY"
        )
    periods = ceil(trace.duration_s / every_s) if trace.looped else int(trace.times_s[-1] / every_s)
    duration_s = periods * every_s if trace.looped else trace.duration_s
    _check_size(trace, duration_s, every_s)
    stops: Floats = np.arange(1, periods + 1, dtype=np.float64) * every_s
    times_s = np.unique(np.concatenate((_unrolled(trace, duration_s), stops - length_s, stops)))
    times_s = times_s[times_s < duration_s]
    middles_s: Floats = (times_s + np.append(times_s[1:], duration_s)) / 2
    dead = middles_s % every_s > every_s - length_s
    dead &= middles_s < periods * every_s
    return _resampled(trace, times_s, duration_s, middles_s, dead)


def _check_size(trace: Trace, duration_s: float, every_s: float) -> None:
    samples = len(trace.times_s) * ceil(duration_s / trace.duration_s) + 2 * duration_s / every_s
    if samples > MOST_SAMPLES:
        raise ConfigError(
            f"{trace.name}: outages every {every_s:g} s would make {samples:.0f} samples of it; "
            f"the most is {MOST_SAMPLES}"
        )


def _unrolled(trace: Trace, duration_s: float) -> Floats:
    """The starts of all samples up to `duration_s`, the trace repeated as often as it takes."""
    rounds = np.arange(ceil(duration_s / trace.duration_s), dtype=np.float64) * trace.duration_s
    return (rounds[:, None] + trace.times_s).ravel()


def _resampled(trace: Trace, times_s: Floats, duration_s: float, middles_s: Floats, dead: Mask) -> Trace:
    """`trace` cut at `times_s` [n], dead where `dead` [n]; rounding moves no segment's middle."""
    within_s = middles_s % trace.duration_s if trace.looped else middles_s
    index = np.searchsorted(trace.times_s, within_s, side="right") - 1
    return replace(
        trace,
        name=f"{trace.name} with outages",
        times_s=times_s,
        mbps=np.where(dead, 0.0, trace.mbps[index]),
        rtt_ms=None if trace.rtt_ms is None else trace.rtt_ms[index],
        duration_s=duration_s,
    )
