"""Waiting between attempts."""

import random

from hypothesis import given
from hypothesis import strategies as st

from transport.backoff import FIRST_S, LONGEST_S, Backoff


def waits(backoff: Backoff, now: float = 0.0) -> list[float]:
    taken: list[float] = []
    while (wait_s := backoff.next_wait(now + sum(taken))) is not None:
        taken.append(wait_s)
    return taken


@given(patience_s=st.floats(0.5, 100), seed=st.integers(), start=st.floats(0, 1e6))
def test_waits_grow_to_a_bound_and_end_within_the_patience(
    patience_s: float, seed: int, start: float
) -> None:
    taken = waits(Backoff(patience_s, random.Random(seed)), start)
    assert patience_s - LONGEST_S <= sum(taken) <= patience_s + 1e-6
    assert all(FIRST_S / 2 <= wait_s <= LONGEST_S for wait_s in taken)
    for step, wait_s in enumerate(taken):
        full = min(FIRST_S * 2**step, LONGEST_S)
        assert full / 2 <= wait_s <= full


def test_two_devices_do_not_come_back_at_the_same_moment() -> None:
    assert waits(Backoff(10, random.Random(1))) != waits(Backoff(10, random.Random(2)))


def test_a_new_outage_has_all_the_patience() -> None:
    backoff = Backoff(5, random.Random(1))
    waits(backoff)
    assert backoff.next_wait(1000) is None
    backoff.over()
    wait_s = backoff.next_wait(1000)
    assert wait_s is not None and wait_s <= FIRST_S
