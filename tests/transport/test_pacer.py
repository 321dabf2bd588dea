"""Turns: one by one at the pace that was set, whoever asks, and at once after a quiet time."""

from itertools import pairwise

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from transport.pacer import Allowance, Pacer

PER_S = 2.0
TICK_S = 0.25


async def turns(asked_at: list[float]) -> dict[int, float]:
    """When each caller's turn came, in the order in which they came."""
    clock, found = ManualClock(), dict[int, float]()
    pacer = Pacer(PER_S, clock)

    async def take(caller: int) -> None:
        await pacer.wait()
        found[caller] = clock.now()

    async with anyio.create_task_group() as group:
        waiting = list(enumerate(asked_at))
        while len(found) < len(asked_at):
            while waiting and waiting[0][1] <= clock.now():
                group.start_soon(take, waiting.pop(0)[0])
            await anyio.wait_all_tasks_blocked()
            clock.advance(TICK_S)
            await anyio.wait_all_tasks_blocked()
    return found


@given(st.lists(st.integers(0, 20).map(lambda ticks: ticks * TICK_S), max_size=8).map(sorted))
def test_turns_keep_their_order_and_their_distance_and_none_waits_without_need(asked_at: list[float]) -> None:
    found = anyio.run(turns, asked_at)
    assert list(found) == list(range(len(asked_at)))
    assert all(later - earlier >= 1 / PER_S for earlier, later in pairwise(found.values()))
    expected = -1 / PER_S
    for asked, turn in zip(asked_at, found.values(), strict=True):
        expected = max(asked, expected + 1 / PER_S)
        assert turn == expected


@pytest.mark.parametrize("gap_s", [1 / PER_S, 3.0])
async def test_who_comes_seldom_never_waits(gap_s: float) -> None:
    clock = ManualClock()
    pacer = Pacer(PER_S, clock)
    for _ in range(4):
        with anyio.fail_after(1):
            await pacer.wait()
        clock.advance(gap_s)


async def test_who_takes_several_turns_holds_up_the_next_for_as_many() -> None:
    clock = ManualClock()
    pacer = Pacer(PER_S, clock)
    await pacer.wait(3)
    returned: list[float] = []

    async def take() -> None:
        await pacer.wait()
        returned.append(clock.now())

    async with anyio.create_task_group() as group:
        group.start_soon(take)
        while not returned:
            await anyio.wait_all_tasks_blocked()
            clock.advance(TICK_S)
            await anyio.wait_all_tasks_blocked()
    assert returned == [3 / PER_S]


@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from([0.5, 1.0, 2.0])), max_size=40))
def test_no_span_of_time_has_more_than_the_allowance(takes: list[tuple[int, float]]) -> None:
    clock = ManualClock()
    allowance = Allowance(PER_S, 3.0, 3.0, clock)
    taken: list[tuple[float, float]] = []
    for quarters, amount in takes:
        clock.advance(quarters / 4)
        if allowance.take(amount):
            taken.append((clock.now(), amount))
    for first, (began, _) in enumerate(taken):
        for last in range(first, len(taken)):
            spent = sum(amount for _, amount in taken[first : last + 1])
            assert spent <= 3.0 + (taken[last][0] - began) * PER_S


def test_a_pause_fills_an_allowance_again_and_never_beyond_it() -> None:
    clock = ManualClock()
    allowance = Allowance(PER_S, 3.0, 3.0, clock)
    assert allowance.take(3.0) and not allowance.take(0.5)
    assert not Allowance(PER_S, 3.0, 0.0, clock).take(0.5)
    clock.advance(100)
    assert not allowance.take(3.5) and allowance.take(3.0) and not allowance.take(0.5)
