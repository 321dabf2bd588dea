import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.live.backoff import Backoff, Waits


@given(st.integers(0, 1000), st.lists(st.booleans(), max_size=40))
def test_a_wait_is_half_to_all_of_its_step_and_steps_double_up_to_the_longest(seed, refusals):
    waits = Waits(0.2, 5.0, 30.0)
    backoff, losses = Backoff(random.Random(seed), waits), 0
    for refused in refusals:
        step_s = 30.0 if refused else min(0.2 * 2**losses, 5.0)
        losses += not refused
        assert step_s / 2 <= backoff.next_wait(refused) <= step_s


def test_after_work_well_done_it_begins_anew():
    backoff = Backoff(random.Random(1))
    for _ in range(9):
        backoff.next_wait()
    assert backoff.next_wait() > 2
    backoff.over()
    assert backoff.next_wait() <= 0.2


def test_two_cameras_do_not_come_back_as_one():
    first, second = (Backoff(random.Random(seed)) for seed in (1, 2))
    assert first.next_wait() != pytest.approx(second.next_wait())
