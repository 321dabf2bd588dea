import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transport.emulation.shapes import Steps, Turned
from transport.emulation.bucket import ASK_AGAIN_S, LEAST_WAIT_S, Steady, TokenBucket

RATES = st.lists(st.just(0.0) | st.floats(0.1, 500), min_size=1, max_size=6)


def leave(bucket, num_bytes, arrived_s, late_s=0.0):
    """Ask until the chunk has left, each time `late_s` later than told; returns when it was let go."""
    now = arrived_s
    while wait_s := bucket.take(num_bytes, arrived_s, now):
        assert LEAST_WAIT_S <= wait_s <= ASK_AGAIN_S
        now += wait_s + late_s
    return now


def carried_bits(shape, stop_s):
    """The integral of a Steps shape from 0 to `stop_s`."""
    whole = int(stop_s)
    return 1e6 * (sum(map(shape.mbps_at, range(whole))) + shape.mbps_at(whole) * (stop_s - whole))


@given(RATES, st.lists(st.integers(1, 60_000), min_size=1, max_size=20), st.floats(0, 0.01))
def test_no_byte_leaves_sooner_than_the_link_allows_however_late_it_is_asked(rates, sizes, late_s):
    shape = Steps(*rates, 50.0)
    bucket = TokenBucket(shape)
    sent_bits = 0
    for num_bytes in sizes:
        let_go_s = leave(bucket, num_bytes, arrived_s=0.0, late_s=late_s)
        sent_bits += 8 * num_bytes
        # The rate is read every few milliseconds, so a step in it may count that much early or late.
        edge_bits = 0.005 * 1e6 * max(shape.rates) * len(rates)
        assert carried_bits(shape, bucket.left_s) == pytest.approx(sent_bits, abs=edge_bits + 1)
        assert let_go_s >= bucket.left_s - 1e-9


@given(st.floats(0.5, 1000), st.floats(0, 0.02))
def test_a_message_in_chunks_takes_its_bits_over_the_rate(mbps, late_s):
    bucket = TokenBucket(Steps(mbps))
    chunk = max(1460, round(mbps * 1e6 / 8 * 0.004))
    for _ in range(50):
        leave(bucket, chunk, arrived_s=0.0, late_s=late_s)
    assert bucket.left_s == pytest.approx(50 * chunk * 8 / mbps / 1e6, rel=1e-6)


def test_605_kilobytes_take_484_milliseconds_at_10_mbps():
    bucket = TokenBucket(Steps(10.0))
    for _ in range(121):
        leave(bucket, 5000, arrived_s=0.0, late_s=0.0013)
    assert bucket.left_s == pytest.approx(0.484)


def test_an_idle_link_saves_nothing_up():
    bucket = TokenBucket(Steps(8.0))
    assert leave(bucket, 1000, arrived_s=0.0) == pytest.approx(0.001, abs=1e-4)
    assert leave(bucket, 1000, arrived_s=100.0) == pytest.approx(100.001, abs=1e-4)


def test_a_dead_link_asks_again_soon_and_goes_on_where_it_was():
    shape = Turned(8.0)
    bucket = TokenBucket(shape)
    assert bucket.take(10_000, 0.0, 0.005) == pytest.approx(0.005)
    shape.turn(0)
    for now in (0.01, 0.03, 5.0):
        assert bucket.take(10_000, 0.0, now) == ASK_AGAIN_S
    shape.turn(8.0)
    assert bucket.take(10_000, 0.0, 5.004) > 0
    assert bucket.take(10_000, 0.0, 5.0051) == 0


def test_who_slept_for_long_does_not_get_all_of_it_at_once():
    bucket = TokenBucket(Steps(8.0))
    bucket.take(10_000_000, 0.0, 0.001)
    assert bucket.take(10_000_000, 0.0, 3600.0) > 0
    assert bucket.left_s == 3600.0


def test_a_chunk_that_was_given_up_pays_nothing_for_the_next():
    bucket = TokenBucket(Steps(8.0))
    assert bucket.take(1000, 0.0, 0.0009) > 0
    bucket.give_up()
    assert bucket.take(1000, 0.0, 0.0011) > 0
    assert bucket.take(1000, 0.0, 0.00191) == 0


def test_the_shape_s_time_begins_when_the_link_does():
    bucket = TokenBucket(Steps(8.0, 80.0), began_s=1000.0)
    assert leave(bucket, 500_000, arrived_s=1000.0) == pytest.approx(1000.5, abs=1e-4)
    assert leave(bucket, 500_000, arrived_s=1001.0) == pytest.approx(1001.05, abs=1e-4)


def test_an_endless_rate_and_an_empty_chunk_take_no_time():
    bucket = TokenBucket(Steady(math.inf))
    assert bucket.take(1 << 20, 2.0, 2.5) == 0
    assert bucket.take(1 << 20, 3.0, 3.0) == 0
    assert bucket.left_s == 3.0
    dead = TokenBucket(Steps(0.0))
    assert dead.take(0, 1.0, 1.0) == 0
