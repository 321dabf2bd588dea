"""Websockets on loopback, on both event loops: whole sessions, limits, and what is no cloud."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import aiohttp
import anyio
import anyio.lowlevel
import pytest
from aiohttp import web

from pipeline.errors import (
    ConfigError,
    HandshakeRefused,
    JanusError,
    LinkLost,
    MessageTooLarge,
    ProtocolError,
)
from tests.transport.world import HELLO, WELCOME, EchoCloud, answers, connected, packet
from transport.client import connect_cloud
from transport.connection import Connection
from transport.events import LinkDown, LinkUp
from transport.messages import Bye, encode
from transport.serving import Address, serve
from transport.websocket import PINGS_PER_S, cloud_url, dial, peer_names

LIMIT = 1 << 20
BIG = WELCOME.model_copy(update={"max_message_bytes": LIMIT})


@asynccontextmanager
async def listening(
    on_connection: Callable[[Connection], Awaitable[None]], **options: int
) -> AsyncIterator[Address]:
    settings = {"max_message_bytes": LIMIT, **options}
    async with serve("127.0.0.1", 0, on_connection, **settings) as address:  # type: ignore[arg-type]
        yield address


async def echo(connection: Connection) -> None:
    connection.welcome()
    while True:
        await connection.send(await connection.receive())


async def test_a_session_runs_over_a_real_websocket() -> None:
    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group, welcome=BIG)
        async with (
            listening(cloud.serve) as address,
            connect_cloud(partial(dial, address.url), HELLO) as client,
        ):
            async with anyio.create_task_group() as sending:
                for number in range(6):
                    sending.start_soon(client.submit, packet(number, b"x" * 200))
                got = await answers(client, 6)
            assert await client.probe(10_000) > 0
    assert sorted(answer.packet.header.seq for answer in got) == list(range(6))


async def test_a_large_message_arrives_whole_both_ways() -> None:
    async with listening(echo) as address:
        connection = await dial(address.url)
        for size in (0, 1, 65536, LIMIT):
            data = bytes(range(256)) * (size // 256) + bytes(size % 256)
            await connection.send(data)
            assert await connection.receive() == data
        await connection.close()


async def test_a_cloud_that_is_killed_and_comes_back_answers_every_clip_once() -> None:
    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group, welcome=BIG)
        got = []
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        url = f"ws://127.0.0.1:{port}"
        async with serve("127.0.0.1", port, cloud.serve, max_message_bytes=LIMIT):
            client_context = connect_cloud(partial(dial, url), HELLO)
            client = await client_context.__aenter__()
            await client.submit(packet(0))
            got += await answers(client, 1)
        events = client.events()
        while not isinstance(await anext(events), LinkDown):
            pass
        await client.submit(packet(1))
        await client.submit(packet(2))
        async with serve("127.0.0.1", port, cloud.serve, max_message_bytes=LIMIT):
            got += await answers(client, 2)
            await client_context.__aexit__(None, None, None)
    assert [answer.packet.header.seq for answer in got] == [0, 1, 2]


async def test_a_message_over_the_limit_is_refused_where_it_is_received() -> None:
    caught: list[JanusError] = []
    done = anyio.Event()

    async def receive(connection: Connection) -> None:
        try:
            await connection.receive()
        except JanusError as error:
            caught.append(error)
        done.set()

    async with listening(receive, max_message_bytes=1000) as address:
        connection = await dial(address.url)
        await connection.send(bytes(1001))
        await done.wait()
        with pytest.raises((LinkLost, ProtocolError)):
            await connection.receive()
        await connection.close()
    assert isinstance(caught[0], MessageTooLarge)
    assert (caught[0].num_bytes, caught[0].limit_bytes) == (1001, 1000)


async def test_a_message_of_exactly_the_limit_is_taken() -> None:
    async with listening(echo, max_message_bytes=1000) as address:
        connection = await dial(address.url, limit_bytes=1000)
        await connection.send(bytes(1000))
        assert len(await connection.receive()) == 1000
        await connection.close()


async def test_a_reply_over_the_device_s_limit_is_refused() -> None:
    async with listening(echo) as address:
        connection = await dial(address.url, limit_bytes=100)
        await connection.send(bytes(101))
        with pytest.raises(MessageTooLarge, match="101 bytes is over the agreed limit of 100"):
            await connection.receive()
        await connection.close()


async def test_a_closed_connection_says_so_at_both_ends() -> None:
    lost = anyio.Event()

    async def receive(connection: Connection) -> None:
        with pytest.raises(LinkLost):
            await connection.receive()
        lost.set()

    async with listening(receive) as address:
        connection = await dial(address.url)
        await connection.close()
        await connection.close()
        await lost.wait()
        with pytest.raises(LinkLost):
            await connection.receive()
        with pytest.raises(LinkLost):
            await connection.send(b"x")


async def test_closing_wakes_who_receives() -> None:
    async with listening(echo) as address:
        connection = await dial(address.url)

        async def receive() -> None:
            with pytest.raises(LinkLost):
                await connection.receive()

        async with anyio.create_task_group() as group:
            group.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            await connection.close()


async def handshaken(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A websocket without a library on this end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
    writer.write(
        b"GET /janus HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def test_who_pings_and_is_gone_before_the_answer_is_a_lost_link() -> None:
    lost = anyio.Event()

    async def receive(connection: Connection) -> None:
        connection.welcome()
        await anyio.sleep(0.05)  # pings are read after their sender has gone
        with pytest.raises(LinkLost):
            await connection.receive()
        lost.set()

    async with listening(receive) as address:
        _, writer = await handshaken(address)
        writer.write(b"\x89\x80\0\0\0\0" * 100)
        await writer.drain()
        writer.transport.abort()
        with anyio.fail_after(5):
            await lost.wait()


async def test_a_ping_is_answered_between_messages() -> None:
    async with listening(echo) as address:
        reader, writer = await handshaken(address)
        writer.write(b"\x89\x82\0\0\0\0hi" + b"\x8a\x80\0\0\0\0" + b"\x82\x81\0\0\0\0x")
        with anyio.fail_after(5):
            assert await reader.readexactly(7) == b"\x8a\x02hi\x82\x01x"
        writer.close()


@pytest.mark.parametrize(
    ("frame", "count"),
    [(b"\x82\x81\0\0\0\0x", 200), (b"\x89\x80\0\0\0\0", 4)],
    ids=["message", "ping"],
)
async def test_between_two_messages_that_have_come_already_others_have_their_turn(
    frame: bytes, count: int
) -> None:
    turns = []

    async def read(connection: Connection) -> None:
        connection.welcome()
        await anyio.sleep(0.05)  # all have come by then
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take_turns)
            while await connection.receive() != b"end":
                turns.append("message")
            tasks.cancel_scope.cancel()
        done.set()

    async def take_turns() -> None:
        while True:
            turns.append("other")
            await anyio.lowlevel.checkpoint()

    done = anyio.Event()
    async with listening(read) as address:
        _, writer = await handshaken(address)
        writer.write(count * frame + b"\x82\x83\0\0\0\0end")
        with anyio.fail_after(5):
            await done.wait()
        writer.close()
    assert turns.count("other") >= count


async def test_pings_are_answered_at_a_pace() -> None:
    async def read(connection: Connection) -> None:
        connection.welcome()
        await connection.receive()

    async with listening(read) as address:
        reader, writer = await handshaken(address)
        writer.write(1000 * b"\x89\x80\0\0\0\0")
        began = time.monotonic()
        with anyio.fail_after(5):
            await reader.readexactly(2 * 4)
        assert time.monotonic() - began >= 2 / PINGS_PER_S
        writer.close()


async def test_text_is_no_message() -> None:
    caught: list[JanusError] = []

    async def receive(connection: Connection) -> None:
        try:
            await connection.receive()
        except ProtocolError as error:
            caught.append(error)
        await connection.send(b"lives")

    async with (
        listening(receive) as address,
        aiohttp.ClientSession() as session,
        session.ws_connect(address.url) as device,
    ):
        await device.send_str("hello")
        assert await device.receive_bytes() == b"lives"
    assert "text" in str(caught[0])


async def test_more_devices_than_there_is_room_for_are_turned_away() -> None:
    async with listening(echo, max_connections=1) as address:
        first = await dial(address.url)
        with pytest.raises(LinkLost, match="no room"):
            await dial(address.url)
        await first.close()


async def test_a_handler_that_fails_with_one_line_is_logged_as_one(caplog: pytest.LogCaptureFixture) -> None:
    async def refuse(connection: Connection) -> None:
        raise HandshakeRefused(f"{connection.peer}: not you")

    async with listening(refuse) as address:
        connection = await dial(address.url)
        with pytest.raises(LinkLost):
            await connection.receive()
        await connection.close()
    assert "not you" in caplog.text and "Traceback" not in caplog.text


async def test_a_port_in_use_is_a_setting_to_mend() -> None:
    async with listening(echo) as address:
        with pytest.raises(ConfigError, match=rf"cannot listen on 127.0.0.1:{address.port}: .*another port"):
            async with serve("127.0.0.1", address.port, echo, max_message_bytes=LIMIT):
                pass


async def test_nobody_listens() -> None:
    async with listening(echo) as address:
        port = address.port
    with pytest.raises(LinkLost, match=rf"127.0.0.1:{port}: cannot connect"):
        await dial(f"ws://127.0.0.1:{port}")


@asynccontextmanager
async def tcp_server(reply: bytes | None) -> AsyncIterator[int]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reply is None:
            await reader.read()
        else:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(reply)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize(
    ("reply", "error", "line"),
    [
        (None, LinkLost, "no answer within"),
        (b"", LinkLost, "closed the connection before it was open"),
        (b"220 mail ready\r\n", HandshakeRefused, "no Janus cloud"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            HandshakeRefused,
            "HTTP 200, so it is no Janus cloud",
        ),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", HandshakeRefused, "HTTP 500"),
    ],
)
async def test_what_is_no_cloud_is_named(reply: bytes | None, error: type[JanusError], line: str) -> None:
    async with tcp_server(reply) as port:
        with pytest.raises(error, match=f"127.0.0.1:{port}: .*{line}") as caught:
            await dial(f"ws://127.0.0.1:{port}", open_timeout_s=0.1 if reply is None else 1.0)
    assert "\n" not in str(caught.value)


async def test_a_plain_web_server_is_no_cloud() -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with pytest.raises(HandshakeRefused, match="HTTP 404"):
        await dial(f"ws://127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()


@pytest.mark.parametrize(
    "greeting", [b"welcome!", "hi", encode(Bye(reason="no"))], ids=["bytes", "text", "bye"]
)
async def test_another_websocket_server_is_no_cloud_and_not_tried_again(greeting: bytes | str) -> None:
    dials = 0

    async def greet(request: web.Request) -> web.StreamResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        await (response.send_str(greeting) if isinstance(greeting, str) else response.send_bytes(greeting))
        await response.receive()
        return response

    app = web.Application()
    app.router.add_get("/janus", greet)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    async def counted() -> Connection:
        nonlocal dials
        dials += 1
        return await dial(f"ws://127.0.0.1:{runner.addresses[0][1]}")

    with pytest.raises(HandshakeRefused, match="does not speak as a Janus cloud"):
        async with connect_cloud(counted, HELLO):
            pass
    assert dials == 1
    await runner.cleanup()


async def test_a_silent_websocket_server_is_given_up() -> None:
    async def say_nothing(connection: Connection) -> None:
        await connection.receive()
        with pytest.raises(LinkLost):
            await connection.receive()

    async with listening(say_nothing) as address, anyio.create_task_group() as group:
        cloud = EchoCloud(group)
        cloud.dial = partial(dial, address.url)  # type: ignore[method-assign]
        with pytest.raises(LinkLost, match=r"no Janus welcome within 0.01 s; gave up"):
            async with connected(cloud, handshake_s=0.01, connect_s=0.2):
                pass


async def test_leaving_the_server_ends_its_sessions() -> None:
    async with anyio.create_task_group() as group:
        cloud = EchoCloud(group, welcome=BIG)
        async with listening(cloud.serve) as address:
            context = connect_cloud(partial(dial, address.url), HELLO)
            client = await context.__aenter__()
            events = client.events()
            assert isinstance(await anext(events), LinkUp)
        assert isinstance(await anext(events), LinkDown)
        await context.__aexit__(None, None, None)


@pytest.mark.parametrize(
    "url",
    ["", "host:1", "http://host:1", "ws://", "ws://:1", "ws://host:port", "ws://host:99999", "ws://[::1"],
)
def test_a_bad_url_says_what_is_right(url: str) -> None:
    with pytest.raises(ConfigError, match="not of the form ws://HOST:PORT"):
        cloud_url(url)


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("ws://host:8765", "ws://host:8765/janus"),
        ("ws://host:8765/", "ws://host:8765/janus"),
        ("wss://host:1/behind/proxy", "wss://host:1/behind/proxy"),
    ],
)
def test_the_path_is_added_where_there_is_none(url: str, whole: str) -> None:
    assert str(cloud_url(url)) == whole


def test_a_peer_is_called_by_host_and_port_and_by_its_path_where_several_share_them() -> None:
    urls = ["ws://yard:1", "wss://gate:443/one", "ws://yard:2/box", "wss://gate:443/two"]
    assert peer_names(urls) == ["yard:1", "gate:443/one", "yard:2", "gate:443/two"]
    assert peer_names(["ws://yard:1", "ws://YARD:1/janus"]) == ["yard:1/janus"] * 2
    with pytest.raises(ConfigError, match="peer URL 'yard' is not of the form"):
        peer_names(["yard"])
