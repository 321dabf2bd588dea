"""Waking everybody who waits for a change of shared state."""

import anyio


class Signal:
    """`wait` returns at the next `notify`; who waits looks again at what it waits for."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    async def wait(self) -> None:
        await self._event.wait()

    def notify(self) -> None:
        self._event.set()
        self._event = anyio.Event()
