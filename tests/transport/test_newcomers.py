"""Strangers push out strangers, and a crowd pushes out itself."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from transport.newcomers import Newcomers

MOST = 6
visits = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.booleans()), max_size=60)


@given(visits=visits)
def test_there_are_never_more_than_agreed_and_only_a_full_house_displaces(
    visits: list[tuple[str, bool]],
) -> None:
    newcomers = Newcomers[int](MOST)
    inside: dict[int, str] = {}
    for number, (host, leaves) in enumerate(visits):
        displaced = newcomers.arrive(number, host)
        assert (displaced is None) == (len(inside) < MOST)
        if displaced is not None:
            crowd = Counter(inside.values())
            assert crowd[inside[displaced]] == max(crowd.values())
            assert displaced == min(who for who, home in inside.items() if home == inside[displaced])
            del inside[displaced]
        inside[number] = host
        if leaves:
            newcomers.leave(number)
            newcomers.leave(number)
            del inside[number]
        assert len(newcomers) == len(inside) <= MOST


def test_a_flood_from_one_address_does_not_displace_who_comes_from_another() -> None:
    newcomers = Newcomers[str](MOST)
    newcomers.arrive("device", "192.0.2.1")
    displaced = [newcomers.arrive(f"flood {number}", "198.51.100.9") for number in range(1000)]
    assert "device" not in displaced
    assert displaced[-1] == f"flood {1000 - MOST}"


def test_all_addresses_of_one_ipv6_network_are_one_crowd() -> None:
    newcomers = Newcomers[str](MOST)
    newcomers.arrive("device", "2001:db8:1::1")
    newcomers.arrive("neighbour", "fe80::1%eth0")
    displaced = [newcomers.arrive(f"flood {n}", f"2001:db8:2::{n:x}") for n in range(100)]
    assert {"device", "neighbour"}.isdisjoint(displaced)
    assert newcomers.arrive("by name", "somewhere") == "flood 96"
