"""Let all that can run now run, without waiting for anything."""

import anyio
import anyio.lowlevel

TURNS = 20


async def settled() -> None:
    """Return once every other task waits; `wait_all_tasks_blocked` alone sleeps while one still runs."""
    for _ in range(TURNS):
        await anyio.lowlevel.checkpoint()
    await anyio.wait_all_tasks_blocked()
