import asyncio
from contextlib import asynccontextmanager

import anyio
import pytest

from pipeline.background import background
from pipeline.clock import ManualClock
from pipeline.errors import ConfigError
from sources.camera.listener import AGAIN_S, WAITING, Listener
from tests.settled import settled
from tests.sources.camera.receiving import ending

HOST = "127.0.0.1"


class Listening:
    def __init__(self):
        self.clock = ManualClock()
        self.listener = Listener(HOST, 0, None, self.clock)

    async def arrival(self):
        _, writer = await asyncio.open_connection(HOST, self.listener.port)
        _, accepted = await self.listener.next()
        assert accepted.get_extra_info("peername") == writer.get_extra_info("sockname")
        writer.close()
        accepted.close()


@asynccontextmanager
async def listening():
    found = Listening()
    await found.listener.open()
    try:
        with anyio.fail_after(10):
            async with background(found.listener.keep):
                yield found
    finally:
        found.listener.close()


async def test_who_connects_arrives():
    async with listening() as found:
        await found.arrival()


async def test_during_a_refusal_nobody_connects_and_after_it_the_port_is_the_same():
    async with listening() as found:
        port = found.listener.port
        found.listener.refuse(5)
        found.listener.refuse(3)
        for _ in range(2):
            await settled()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(HOST, port)
            found.clock.advance(2.5)
        await until_listening(found)
        assert found.listener.port == port


async def until_listening(found):
    while True:
        await settled()
        try:
            return await found.arrival()
        except ConnectionRefusedError:
            await asyncio.sleep(0.001)


async def test_a_port_that_another_took_meanwhile_is_tried_again(caplog):
    async with listening() as found:
        found.listener.refuse(1)
        await settled()
        other = await asyncio.start_server(lambda *_: None, HOST, found.listener.port)
        found.clock.advance(1)
        while not caplog.records:  # noqa: ASYNC110  (binding takes turns of the loop)
            await asyncio.sleep(0.001)
        assert "cannot listen on port" in caplog.text
        other.close()
        await settled()
        found.clock.advance(AGAIN_S)
        await until_listening(found)


async def test_more_than_can_wait_are_sent_away():
    async with listening() as found:
        connections = [await asyncio.open_connection(HOST, found.listener.port) for _ in range(WAITING + 1)]
        assert await ending(connections[-1][0])
        for _, writer in connections:
            writer.close()


@pytest.mark.parametrize(
    ("host", "problem"), [("no.such.host.invalid", "known|resol|name"), (HOST, "in use")]
)
async def test_an_address_that_cannot_be_had_is_a_setting_to_mend(host, problem):
    taken = await asyncio.start_server(lambda *_: None, HOST, 0)
    port = taken.sockets[0].getsockname()[1]
    with pytest.raises(
        ConfigError, match=rf"cannot listen on {host}:{port}: .*({problem}).*; choose another"
    ):
        await Listener(host, port, None, ManualClock()).open()
    taken.close()


async def test_closing_sends_away_who_waits():
    async with listening() as found:
        reader, writer = await asyncio.open_connection(HOST, found.listener.port)
        await settled()
        while not found.listener._arrived.statistics().current_buffer_used:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        found.listener.close()
        assert await ending(reader)
        writer.close()
