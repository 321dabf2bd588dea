"""A client whose device does not wait for its cloud."""

import math
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest

from pipeline.errors import HandshakeRefused, JanusError, LinkLost
from tests.transport.world import WELCOME, EchoCloud, TurnedClock, accept_all, answers, connected, packet
from transport.connection import Connection
from transport.events import Answered, LinkDown, LinkUp
from transport.messages import Result
from transport.server import open_session

LIVE = {"at_once": False, "patience_s": math.inf}


async def test_it_looks_for_its_cloud_in_the_background_for_as_long_as_it_takes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = TurnedClock()
    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group, up=False)
        async with connected(cloud, clock=clock, **LIVE) as client:
            while clock.now() < 3600:
                await anyio.lowlevel.checkpoint()
            assert not client.known and not client.connected
            assert 55 <= len(caplog.messages) <= 61 and client.trouble
            assert "; going on without it, and trying again" in caplog.messages[0]
            with pytest.raises(LinkLost, match="not welcomed"):
                await client.submit(packet())
            cloud.up = True
            events = client.events()
            assert isinstance(await anext(events), LinkUp)
            assert client.known and client.connected
            await client.submit(packet(0, b"left"))
            event = await anext(events)
            while not isinstance(event, Answered):
                event = await anext(events)
    assert max(clock.slept) <= 2


async def test_the_first_cloud_must_be_the_right_one_later_ones_may_become_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wrong = WELCOME.model_copy(update={"digest": "ffff"})
    async with anyio.create_task_group() as group:
        async with connected(EchoCloud(group, welcome=wrong), **LIVE) as client:
            with pytest.raises(HandshakeRefused, match="ffff"):
                _ = [event async for event in client.events()]
        cloud = EchoCloud(group)
        async with connected(cloud, **LIVE) as client:
            events = client.events()
            up = await anext(events)
            assert isinstance(up, LinkUp) and not up.again and client.trouble is None
            cloud.welcome = wrong
            cloud.links[0].cut()
            assert isinstance(await anext(events), LinkDown)
            while len(cloud.links) < 4:
                await anyio.lowlevel.checkpoint()
            (said,) = caplog.messages
            assert "ffff" in said and said.startswith(str(client.trouble))
            cloud.welcome = WELCOME
            up = await anext(events)
            assert isinstance(up, LinkUp) and up.again and client.trouble is None


async def test_after_a_goodbye_what_refuses_it_since_is_the_trouble() -> None:
    leave: list[Callable[[str], Awaitable[None]]] = []

    class Leaving(EchoCloud):
        async def serve(self, connection: Connection) -> None:
            with suppress(JanusError):
                async with open_session(connection, self.welcome, accept_all) as session:
                    leave.append(session.say_bye)
                    async for _ in session.packets():
                        pass

    async with anyio.create_task_group() as group:
        cloud = Leaving(group)
        async with connected(cloud, **LIVE) as client:
            events = client.events()
            assert isinstance(await anext(events), LinkUp)
            cloud.welcome = WELCOME.model_copy(update={"digest": "ffff"})
            await leave[0]("restarting")
            assert isinstance(await anext(events), LinkDown)
            while len(cloud.links) < 3:
                await anyio.lowlevel.checkpoint()
            assert "ffff" in str(client.trouble)
        group.cancel_scope.cancel()


async def test_nobody_hears_of_a_withdrawn_clip_and_its_place_is_free_once_it_is_answered() -> None:
    held, release = anyio.Event(), anyio.Event()

    class SlowCloud(EchoCloud):
        async def serve(self, connection: object) -> None:
            async with open_session(connection, self.welcome, lambda *_: None) as session:  # type: ignore[arg-type]
                async for item in session.packets():
                    self.seen.append(item.header.clip_id)
                    if len(self.seen) == WELCOME.max_in_flight:
                        held.set()
                        await release.wait()
                        for clip_id in self.seen:
                            await session.send_result(Result(clip_id=clip_id, classes=(("x", 0, 1.0),)))
                    elif len(self.seen) > WELCOME.max_in_flight:
                        await session.send_result(Result(clip_id=item.header.clip_id))

    async with anyio.create_task_group() as group:
        async with connected(SlowCloud(group)) as client:
            for number in range(3):
                await client.submit(packet(number))
            await held.wait()
            client.withdraw(packet(0).header.clip_id)
            client.withdraw(packet(2).header.clip_id)
            with anyio.move_on_after(0.05) as full:
                await client.submit(packet(3))
            assert full.cancelled_caught, "the cloud still counts them"
            release.set()
            await client.submit(packet(3))
            got = await answers(client, 2)
            assert [answer.packet.header.seq for answer in got] == [1, 3]
            await client.drain()
        group.cancel_scope.cancel()


async def test_draining_waits_for_no_withdrawn_clip() -> None:
    class Deaf(EchoCloud):
        async def serve(self, connection: object) -> None:
            async with open_session(connection, self.welcome, lambda *_: None) as session:  # type: ignore[arg-type]
                async for item in session.packets():
                    self.seen.append(item.header.clip_id)

    async with anyio.create_task_group() as group:
        cloud = Deaf(group)
        async with connected(cloud) as client:
            await client.submit(packet())
            while not cloud.seen:
                await anyio.lowlevel.checkpoint()
            client.withdraw(packet().header.clip_id)
            with anyio.fail_after(5):
                await client.drain()
        group.cancel_scope.cancel()
