"""Who knocks too often is not let in, and nobody else hears of it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from transport.visits import Visits


@given(st.lists(st.tuples(st.sampled_from(["192.0.2.1", "192.0.2.2"]), st.integers(0, 8)), max_size=60))
def test_each_address_has_its_own_allowance(knocks: list[tuple[str, int]]) -> None:
    clock = ManualClock()
    visits = Visits(clock, per_s=2.0, at_once=3)
    admitted: dict[str, list[float]] = {}
    for host, eighths in knocks:
        clock.advance(eighths / 8)
        times = admitted.setdefault(host, [])
        left = 3.0
        for before, after in pairwise([*times, clock.now()]):
            left = min(3.0, left - 1 + (after - before) * 2.0)
        assert visits.admit(host) == (left >= 1)
        if left >= 1:
            times.append(clock.now())


def test_a_network_of_one_household_is_one_address() -> None:
    visits = Visits(ManualClock(), at_once=2)
    assert [visits.admit(f"2001:db8::{number}") for number in range(3)] == [True, True, False]
    assert visits.admit("2001:db8:0:1::1")


def test_a_flood_from_everywhere_takes_no_more_room_than_agreed() -> None:
    visits = Visits(ManualClock(), at_once=1, most_homes=10)
    assert all(visits.admit(f"192.0.2.{number}") for number in range(100))
    assert len(visits) == 10
    assert not visits.admit("192.0.2.99")
