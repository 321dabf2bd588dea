"""The relay on loopback, on both event loops."""

import asyncio
import hashlib
import logging
import math
import socket
import struct
import time
from contextlib import asynccontextmanager, suppress

import anyio
import pytest

from pipeline.errors import ConfigError
from tests.transport.emulation.shapes import Steps, Turned
from transport.emulation import emulated_link

HOST = "127.0.0.1"
FAST = Steps(500.0)


@asynccontextmanager
async def serving(on_connection):
    """The port of a server that does `on_connection(reader, writer)` and closes."""

    async def serve(reader, writer):
        try:
            await on_connection(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def linked(on_connection, shape=FAST, clients=1, **options):
    """A server, a link to it, and clients of the link: their readers and writers."""
    async with (
        serving(on_connection) as port,
        emulated_link(HOST, 0, HOST, port, shape, **options) as link,
    ):
        pairs = [await asyncio.open_connection(link.host, link.port) for _ in range(clients)]
        try:
            with anyio.fail_after(10):
                yield link, pairs if clients > 1 else pairs[0]
        finally:
            for _, writer in pairs:
                writer.close()


async def until(condition):
    with anyio.fail_after(5):
        while not condition():  # noqa: ASYNC110  (the link tells nobody)
            await asyncio.sleep(0.001)


def reset(writer):
    """Break the connection off, so that the peer's kernel gets a reset."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def digest_of_all(reader, writer):
    """Answers the digest of what came, once the client has ended its side."""
    writer.write(hashlib.sha256(await reader.read()).digest())
    await writer.drain()


async def receive_nothing(reader, _writer):
    await reader.read()


async def test_what_goes_in_comes_out_both_ways():
    data = bytes(range(256)) * 1000
    async with linked(echo, rtt_ms=4) as (link, (reader, writer)):
        writer.write(data)
        assert await reader.readexactly(len(data)) == data
        assert link.up_bytes == link.down_bytes == len(data)
        assert link.connections == 1


async def test_an_end_is_passed_on_and_the_other_direction_lives():
    data = bytes(100_000)
    async with linked(digest_of_all) as (_, (reader, writer)):
        writer.write(data)
        writer.write_eof()
        assert await reader.read() == hashlib.sha256(data).digest()


async def test_a_message_takes_its_bits_over_the_rate_and_half_a_round_trip():
    sent = 40_000
    async with linked(echo, Steps(2.0), rtt_ms=40) as (_, (reader, writer)):
        began = time.monotonic()
        writer.write(bytes(sent))
        first = await reader.read(1)
        first_s = time.monotonic() - began
        await reader.readexactly(sent - len(first))
        whole_s = time.monotonic() - began
    assert first_s >= 0.04 - 1e-3
    assert whole_s >= sent * 8 / 2e6 + 0.04 - 1e-3


async def test_two_connections_share_the_uplink():
    async with linked(digest_of_all, Steps(2.0), clients=2) as (link, pairs):
        began = time.monotonic()
        for _, writer in pairs:
            writer.write(bytes(20_000))
            writer.write_eof()
        for reader, _ in pairs:
            assert await reader.read() == hashlib.sha256(bytes(20_000)).digest()
        assert time.monotonic() - began >= 2 * 20_000 * 8 / 2e6
        assert link.up_bytes == 40_000


async def test_the_downlink_does_not_wait_for_the_uplink_unless_it_has_a_rate_of_its_own():
    async def send(_reader, writer):
        writer.write(bytes(30_000))
        await writer.drain()

    async with linked(send, Steps(0.0)) as (_, (reader, _writer)):
        assert len(await reader.readexactly(30_000)) == 30_000
    began = time.monotonic()
    async with linked(send, FAST, down_mbps=2.0) as (_, (reader, _writer)):
        await reader.readexactly(30_000)
    assert time.monotonic() - began >= 30_000 * 8 / 2e6


async def test_a_dead_link_takes_little_moves_nothing_closes_nothing_and_can_come_back():
    shape = Turned(0.0)
    async with linked(echo, shape) as (link, (reader, writer)):
        taken = await push(link)
        assert taken < 150_000
        writer.write(b"ping")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        assert link.up_bytes == 0
        shape.turn(500.0)
        assert await reader.readexactly(4) == b"ping"


async def push(link):
    """How many bytes a client with small buffers of its own can hand over before it has to wait."""
    taken = 0
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.connect((link.host, link.port))
        client.setblocking(False)
        for _ in range(20):
            try:
                while True:
                    taken += client.send(bytes(65536))
            except BlockingIOError:
                await asyncio.sleep(0.005)
    return taken


async def test_a_server_that_is_not_there_closes_the_client_s_end_with_one_line(caplog):
    async with serving(echo) as port:
        pass
    async with emulated_link(HOST, 0, HOST, port, FAST) as link:
        reader, writer = await asyncio.open_connection(link.host, link.port)
        with anyio.fail_after(5):
            assert await reader.read() == b""
        writer.close()
    lines = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 1
    assert f"{HOST}:{port}: cannot connect: " in lines[0]


async def test_a_client_that_breaks_off_takes_the_server_s_end_with_it():
    ended = anyio.Event()

    async def wait_for_end(reader, _writer):
        try:
            await reader.read()
        finally:
            ended.set()

    async with linked(wait_for_end) as (link, (_, writer)):
        await until(lambda: link.connections)
        writer.write(b"x")
        await until(lambda: link.up_bytes)
        reset(writer)
        await ended.wait()
        await until(lambda: not link.connections)


async def test_a_server_that_breaks_off_takes_the_client_s_end_with_it():
    async def break_off(reader, writer):
        await reader.read(1)
        reset(writer)

    async with linked(break_off) as (_, (reader, writer)):
        writer.write(b"x")
        with suppress(ConnectionError):
            assert await reader.read() == b""


async def test_one_connection_s_end_is_not_the_others():
    async with linked(echo, clients=2) as (link, ((_, first), (reader, second))):
        first.transport.abort()
        second.write(b"still here")
        assert await reader.readexactly(10) == b"still here"
        await until(lambda: link.connections == 1)


async def test_the_end_of_the_link_closes_what_runs_over_it():
    async with serving(receive_nothing) as port:
        async with emulated_link(HOST, 0, HOST, port, Steps(0.001)) as link:
            reader, writer = await asyncio.open_connection(link.host, link.port)
            writer.write(bytes(100_000))
            await until(lambda: link.connections)
        with suppress(ConnectionError), anyio.fail_after(5):
            assert await reader.read() == b""
        writer.close()
        with pytest.raises(OSError):
            await asyncio.open_connection(link.host, link.port)


async def test_an_error_of_the_body_comes_out_as_itself():
    with pytest.raises(ZeroDivisionError):
        async with linked(echo):
            _ = 1 / 0


async def test_addresses_that_cannot_be_had_are_settings_to_mend():
    async with serving(echo) as port:
        with pytest.raises(ConfigError, match=rf"cannot listen on {HOST}:{port}: .*another port"):
            async with emulated_link(HOST, port, HOST, port, FAST):
                pass
    for bad in ("no.such.host.invalid", "a..b"):
        with pytest.raises(ConfigError, match=rf"{bad}:80: .*choose an address that exists"):
            async with emulated_link(HOST, 0, bad, 80, FAST):
                pass


async def test_the_rate_of_the_moment_can_be_read():
    shape = Turned(3.0)
    async with serving(echo) as port, emulated_link(HOST, 0, HOST, port, shape) as link:
        assert link.mbps == 3.0
        shape.turn(math.pi)
        assert link.mbps == math.pi
        assert (link.host, link.connections) == (HOST, 0) and link.port > 0
