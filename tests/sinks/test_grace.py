from hypothesis import given
from hypothesis import strategies as st

from sinks.grace import LEAST_S, grace_left_s

SECONDS = st.floats(0.0, 100.0)


@given(SECONDS, SECONDS, SECONDS)
def test_a_grace_is_cut_short_by_the_deadline_but_for_the_least(grace_s, ends, now):
    left_s = grace_left_s(grace_s, ends, now)
    assert left_s <= grace_s
    assert now + left_s <= max(ends, now + LEAST_S) + 1e-9
    assert left_s in (grace_s, ends - now, LEAST_S)


def test_without_a_deadline_a_grace_is_the_sinks_own():
    assert grace_left_s(5.0, float("inf"), 1000.0) == 5.0
    assert grace_left_s(0.01, 0.0, 1000.0) == 0.01
