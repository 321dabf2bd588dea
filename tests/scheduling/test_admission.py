import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.admission import GROWTH, MEMORY_S, NEARLY, SHRINK, Admission

SLA_MS = 600.0


def crowd(count, sla_ms=SLA_MS):
    """An admission with so many clips under way, while others are dropped."""
    admission = Admission(sla_ms)
    for number in range(count):
        admission.entered(str(number))
    admission.dropped(0.0)
    return admission


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 5000), st.floats(0, 20)), max_size=40))
def test_there_is_always_room_for_one_and_no_bound_where_nothing_is_dropped(events):
    admission, now = Admission(SLA_MS), 0.0
    dropped_at = -math.inf
    for number, (dropped, total_ms, seconds) in enumerate(events):
        now += seconds
        admission.entered(str(number))
        if dropped:
            admission.dropped(now)
            dropped_at = now
        admission.left(str(number), total_ms, now)
        assert admission.has_room
        assert admission.limit >= 1
        if now - dropped_at > MEMORY_S:
            assert admission.limit == math.inf


def test_a_clip_that_takes_nearly_the_promise_lets_fewer_in_than_were_under_way():
    admission = crowd(10)
    admission.left("0", NEARLY * SLA_MS, 1.0)
    assert admission.limit == math.inf
    admission.left("1", NEARLY * SLA_MS + 1, 1.0)
    assert admission.limit == pytest.approx(9 * SHRINK)
    assert not admission.has_room
    admission.left("2", NEARLY * SLA_MS, 1.0)
    assert not admission.has_room
    admission.left("3", NEARLY * SLA_MS, 1.0)
    assert admission.has_room  # six are under way


def test_clips_that_were_let_in_before_the_bound_shrank_do_not_shrink_it_again():
    admission = crowd(10)
    admission.left("0", 700.0, 1.0)
    admission.left("1", 700.0, 0.99 + SLA_MS / 1000)
    assert admission.limit == pytest.approx(10 * SHRINK)
    admission.left("2", 700.0, 1.01 + SLA_MS / 1000)
    assert admission.limit == pytest.approx(8 * SHRINK)


def test_the_bound_grows_the_more_the_sooner_clips_are_done():
    limits = []
    for total_ms in (0.0, NEARLY * SLA_MS / 2, NEARLY * SLA_MS):
        admission = crowd(10)
        admission.left("0", 700.0, 0.0)
        admission.left("1", total_ms, 0.0)
        limits.append(admission.limit - 10 * SHRINK)
    assert limits == pytest.approx([GROWTH, GROWTH / 4, 0])


def test_nothing_is_learnt_from_a_clip_that_was_never_let_in():
    admission = crowd(4)
    admission.left("a dropped one", 5000.0, 0.0)
    assert admission.limit == math.inf


def test_without_a_promise_there_is_no_bound():
    admission = crowd(4, sla_ms=None)
    admission.left("0", 1e9, 0.0)
    assert admission.limit == math.inf
