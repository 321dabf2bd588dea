"""How many clips are with a far end at once, and what it still owes of those that nobody waits for."""

import math
from contextlib import suppress
from dataclasses import dataclass, field

import anyio
import pytest

from pipeline.errors import HandshakeRefused, JanusError
from tests.settled import settled
from tests.transport.world import WELCOME, EchoCloud, accept_all, connected, packet
from transport.client import CloudClient
from transport.connection import Connection
from transport.messages import Result
from transport.server import open_session


@dataclass
class HeldCloud(EchoCloud):
    """Answers a clip each time that it is told to."""

    let: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(0))

    async def serve(self, connection: Connection) -> None:
        with suppress(JanusError):
            async with open_session(connection, self.welcome, accept_all) as session:
                async for item in session.packets():
                    await self.let.acquire()
                    await session.send_result(Result(clip_id=item.header.clip_id, classes=(("x", 0, 1.0),)))


async def has_room(client: CloudClient) -> bool:
    with anyio.move_on_after(0) as scope:
        await client.room()
    return not scope.cancelled_caught


async def test_no_more_clips_are_under_way_than_the_device_wants_however_many_the_cloud_takes() -> None:
    async with anyio.create_task_group() as group:
        cloud = HeldCloud(group)
        async with connected(cloud, most_in_flight=2) as client:
            assert WELCOME.max_in_flight > 2
            for number in range(2):
                await client.room()
                await client.submit(packet(number))
            await settled()
            assert not await has_room(client)
            cloud.let.release()
            await client.room()
            assert client.in_flight == 1
        group.cancel_scope.cancel()


async def test_who_waits_for_room_without_a_link_hears_of_the_first_one() -> None:
    async with anyio.create_task_group() as group:
        async with connected(HeldCloud(group), at_once=False) as client:
            assert not client.connected
            with anyio.fail_after(5):
                await client.room()
            assert client.connected
        group.cancel_scope.cancel()


async def test_who_waits_for_room_hears_that_there_will_never_be_any() -> None:
    async with anyio.create_task_group() as group:
        cloud = HeldCloud(group, welcome=WELCOME.model_copy(update={"digest": "ffff"}))
        async with connected(cloud, at_once=False, patience_s=math.inf) as client:
            with pytest.raises(HandshakeRefused, match="ffff"):
                await client.room()


async def test_a_withdrawn_clip_that_left_is_owed_until_it_is_answered_and_takes_room_until_then() -> None:
    async with anyio.create_task_group() as group:
        cloud = HeldCloud(group)
        async with connected(cloud, most_in_flight=1) as client:
            await client.submit(packet(0))
            await settled()
            assert not client.overdue
            client.withdraw(packet(0).header.clip_id)
            assert client.overdue and not await has_room(client)
            cloud.let.release()
            await client.room()
            assert not client.overdue
        group.cancel_scope.cancel()
