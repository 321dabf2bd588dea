"""Waking everybody who waits for a change of shared state."""

import math

import anyio

from pipeline.clock import Clock


class Signal:
    """`wait` returns at the next `notify`; who waits looks again at what it waits for."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    async def wait(self) -> None:
        await self._event.wait()

    def notify(self) -> None:
        self._event.set()
        self._event = anyio.Event()


async def until(signal: Signal, seconds: float, clock: Clock) -> None:
    """Wait for the next `notify`, no longer than `seconds`."""
    async with anyio.create_task_group() as tasks:

        async def sleep() -> None:
            await clock.sleep(seconds)
            tasks.cancel_scope.cancel()

        if seconds < math.inf:
            tasks.start_soon(sleep)
        await signal.wait()
        tasks.cancel_scope.cancel()
