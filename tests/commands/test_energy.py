import threading

import pytest

from commands.energy import from_first
from pipeline.energy.shares import EnergyShares
from pipeline.worker import Worker


async def run_of(items, closed):
    try:
        async for item in items:
            yield item
    finally:
        closed.append(True)


async def counted(number, worker, readings):
    """The items of a stage that began to share, and what it did at which item."""

    async def items():
        for item in range(number):
            yield item

    shares, closed = EnergyShares(lambda: readings.append(threading.current_thread().name)), []
    running = from_first(lambda channel: run_of(channel, closed), shares, worker)(items())
    found = [(item, len(readings)) async for item in running]
    return found, closed


@pytest.mark.parametrize("number", [0, 1, 3])
async def test_shares_begin_with_the_first_item_and_not_before_nor_again(number):
    readings = []
    with Worker("sinks") as worker:
        found, closed = await counted(number, worker, readings)
    assert found == [(item, 1) for item in range(number)]
    assert readings == ["sinks"] * min(number, 1)
    assert closed == [True]


async def test_a_stage_that_is_left_early_is_closed():
    closed = []

    async def items():
        yield 1
        yield 2

    with Worker("sinks") as worker:
        shares = EnergyShares(lambda: 1.0)
        running = from_first(lambda channel: run_of(channel, closed), shares, worker)(items())
        assert await anext(running) == 1
        await running.aclose()
    assert closed == [True]


async def test_a_stage_without_shares_is_left_as_it_is():
    with Worker("sinks") as worker:
        assert from_first(run_of, None, worker) is run_of
