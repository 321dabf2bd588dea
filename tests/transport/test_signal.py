"""Waking everybody who waits."""

import anyio

from transport.signal import Signal


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
