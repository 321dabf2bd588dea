"""Peers in one process, over memory links that a test can cut, or over a port."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import anyio
from anyio.from_thread import start_blocking_portal

from commands.peer import open_peer
from configs.settings import PeerSettings
from devit.files import Part
from pipeline.clock import Clock, SystemClock
from tests.commands.link import Wire
from transport.serving import serve


@asynccontextmanager
async def wires_to_peers(
    *parts: Part, clock: Clock | None = None, **settings: object
) -> AsyncIterator[list[Wire]]:
    """A peer for each of `parts`, and how to reach it."""
    made = PeerSettings(**settings)
    async with AsyncExitStack() as stack:
        opened = [open_peer(made, part, clock or SystemClock()) for part in parts]
        receptions = [await stack.enter_async_context(each) for each in opened]
        async with anyio.create_task_group() as tasks:
            yield [Wire(reception, tasks) for reception in receptions]
            tasks.cancel_scope.cancel()


@contextmanager
def peer_here(part: Part, **settings: object) -> Iterator[str]:
    """The URL of a peer in a thread of this process."""
    made = PeerSettings(**settings)

    @asynccontextmanager
    async def served() -> AsyncIterator[str]:
        async with (
            open_peer(made, part, SystemClock()) as reception,
            serve("127.0.0.1", 0, reception.meet, max_message_bytes=made.max_message_bytes) as address,
        ):
            yield address.url

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served()) as url:
        yield url
