import time

import anyio

from pipeline.clock import ManualClock, SystemClock


async def test_sleepers_wake_in_turn_and_only_when_time_has_come():
    clock = ManualClock(100.0)
    woken = []

    async def sleeper(seconds):
        await clock.sleep(seconds)
        woken.append((seconds, clock.now()))

    async with anyio.create_task_group() as tasks:
        for seconds in (3, 1, 2, 0):
            tasks.start_soon(sleeper, seconds)
        await anyio.wait_all_tasks_blocked()
        assert woken == [(0, 100.0)]
        clock.advance(1.5)
        await anyio.wait_all_tasks_blocked()
        assert woken[1:] == [(1, 101.5)]
        clock.advance(1.5)
    assert woken[2:] == [(3, 103.0), (2, 103.0)]


async def test_the_system_clock_is_monotonic():
    clock = SystemClock()
    before = time.monotonic()
    await clock.sleep(0)
    assert before <= clock.now() <= time.monotonic()
