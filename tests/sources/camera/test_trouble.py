import anyio

from pipeline.clock import ManualClock
from sources.camera.trouble import Trouble
from tests.settled import settled


async def test_a_frozen_camera_thaws_after_the_longest_freeze():
    clock = ManualClock()
    trouble = Trouble(clock)
    assert not trouble.frozen
    trouble.freeze(5)
    trouble.freeze(2)
    thawed = []

    async def wait():
        await trouble.thawed()
        thawed.append(clock.now())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await settled()
        for seconds in (2, 2):
            clock.advance(seconds)
            await settled()
            assert trouble.frozen and not thawed
        trouble.freeze(2)
        clock.advance(1)
        await settled()
        assert trouble.frozen and not thawed
        clock.advance(1)
    assert thawed == [6.0]
