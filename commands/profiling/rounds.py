"""Timing many small pieces of work on a noisy machine: short, interleaved, repeated."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from pipeline.clock import Clock

K = TypeVar("K", bound=Hashable)
Work = Callable[[], object]
OnProgress = Callable[[float], None]

MS = 1000.0
QUANTILE = 0.25  # of those tried, the most repeatable beside other programs; load is the correction's part


@dataclass(frozen=True, slots=True)
class Rounds:
    """How long to go on: at least `least` rounds, then until `seconds` are over, never beyond `most`."""

    least: int
    most: int
    seconds: float


def quiet_ms(
    works: Mapping[K, Work], rounds: Rounds, clock: Clock, on_progress: OnProgress = lambda done: None
) -> dict[K, float]:
    """Milliseconds that each of `works` takes on a machine that is left alone: the lower quartile.

    All of them take turns, so that a slow spell of the machine falls on each alike and none finds its
    own data in the caches. The first round only warms up. `on_progress` hears the share that is done.
    """
    started = clock.now()
    times: dict[K, list[float]] = {key: [] for key in works}
    for done in range(-1, rounds.most):
        spent = (clock.now() - started) / max(rounds.seconds, 1e-9)
        if done >= rounds.least and spent >= 1:
            break
        on_progress(min(max(min(done / rounds.least, spent), done / rounds.most, 0.0), 1.0))
        for key, work in works.items():
            taken = _timed_ms(work, clock)
            if done >= 0:
                times[key].append(taken)
    on_progress(1.0)
    return {key: float(np.quantile(taken, QUANTILE)) for key, taken in times.items()}


def _timed_ms(work: Work, clock: Clock) -> float:
    started = clock.now()
    work()
    return (clock.now() - started) * MS
