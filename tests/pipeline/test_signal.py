"""Waking everybody who waits."""

import anyio

from pipeline.clock import ManualClock
from pipeline.signal import Signal, until
from tests.settled import settled


async def test_everybody_who_waits_is_woken_and_later_ones_wait_again() -> None:
    signal = Signal()
    woken: list[int] = []

    async def wait(number: int) -> None:
        await signal.wait()
        woken.append(number)

    async with anyio.create_task_group() as group:
        for number in range(2):
            group.start_soon(wait, number)
        await anyio.wait_all_tasks_blocked()
        signal.notify()
        await anyio.wait_all_tasks_blocked()
        assert woken == [0, 1]
        group.start_soon(wait, 2)
        await anyio.wait_all_tasks_blocked()
        assert woken == [0, 1]
        signal.notify()
    assert woken == [0, 1, 2]


async def test_a_wait_ends_at_its_time_or_sooner_when_something_changes() -> None:
    signal, clock, ended = Signal(), ManualClock(), []

    async def wait(seconds: float) -> None:
        await until(signal, seconds, clock)
        ended.append(seconds)

    async with anyio.create_task_group() as group:
        for seconds in (5.0, 7.0, float("inf")):
            group.start_soon(wait, seconds)
        await settled()
        clock.advance(4.9)
        await settled()
        assert ended == []
        clock.advance(0.2)
        await settled()
        assert ended == [5.0]
        signal.notify()
    assert sorted(ended) == [5.0, 7.0, float("inf")]
