import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.energy.counter import Counter

MOST = 1000


@given(st.integers(0, MOST - 1), st.lists(st.integers(0, MOST - 1), max_size=20))
def test_however_often_it_begins_again_it_counts_what_was_taken(first, steps):
    shown = [(first + sum(steps[:end])) % MOST for end in range(len(steps) + 1)]
    readings = iter(shown)
    counter = Counter("package-0", lambda: next(readings), 0.5, MOST)
    found = [counter.joules() for _ in steps]
    assert found == [0.5 * sum(steps[: end + 1]) for end in range(len(steps))]


def test_what_was_taken_before_it_was_made_is_not_its_own():
    assert Counter("package-0", lambda: 700, 1e-6, MOST).joules() == 0


@pytest.mark.parametrize("readings", [[900, 20], [900, 20, 20]])
def test_a_counter_without_an_end_that_falls_was_set_to_0(readings):
    following = iter(readings)
    counter = Counter("gpu-0", lambda: next(following), 1.0)
    assert [counter.joules() for _ in readings[1:]][-1] == 20


def test_a_reading_that_fails_loses_nothing():
    readings = iter([100, OSError("gone"), 400])

    def read():
        value = next(readings)
        if isinstance(value, OSError):
            raise value
        return value

    counter = Counter("package-0", read, 1.0, MOST)
    with pytest.raises(OSError, match="gone"):
        counter.joules()
    assert counter.joules() == 300
