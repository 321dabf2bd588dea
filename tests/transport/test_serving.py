"""The cloud's front door: strangers get little time and room, and devices get in past any crowd of them."""

import asyncio
import gc
import logging
import socket
import sys
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import anyio
import anyio.lowlevel
import pytest
from pydantic import SecretStr

from pipeline.errors import LinkLost
from tests.transport.certificates import Authority, Issued
from transport.connection import Connection
from transport.front import NEWCOMER_BYTES, NEWCOMERS
from transport.security import Credentials, Entrance, Tokens, client_context, server_context
from transport.serving import Address, serve
from transport.visits import AT_ONCE
from transport.websocket import dial

TOKEN = SecretStr("a-token-of-this-cloud-0")
CROWD = "127.0.0.2"
UPGRADE = (
    "GET /janus HTTP/1.1\r\nHost: cloud\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def issued(authority: Authority) -> Issued:
    return authority.issue("cloud")


async def echo(connection: Connection) -> None:
    connection.welcome()
    while True:
        await connection.send(await connection.receive())


async def listen_for_ever(connection: Connection) -> None:
    """A session that waits for a hello as long as it takes."""
    await connection.receive()
    connection.welcome()
    await connection.send(b"welcome")
    await connection.receive()


@asynccontextmanager
async def listening(
    on_connection: Callable[[Connection], Awaitable[None]] = echo, **options: object
) -> AsyncIterator[Address]:
    settings = {"max_message_bytes": 1 << 20, **options}
    async with serve("127.0.0.1", 0, on_connection, **settings) as address:  # type: ignore[arg-type]
        yield address


def knock(stack: ExitStack, port: int, host: str = CROWD) -> socket.socket:
    """A TCP connection from another address of this machine, which says nothing."""
    sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), source_address=(host, 0)))
    sock.setblocking(False)
    return sock


async def ended(sock: socket.socket, within_s: float = 3.0) -> bytes:
    """What is received until the far end closes; TimeoutError if it does not."""
    found = b""
    with anyio.fail_after(within_s):
        while True:
            try:
                data = await asyncio.get_running_loop().sock_recv(sock, 65536)
            except ConnectionResetError:
                return found
            if not data:
                return found
            found += data


async def is_open(sock: socket.socket) -> bool:
    with anyio.move_on_after(0.05):
        return bool(await asyncio.get_running_loop().sock_recv(sock, 1))
    return True


async def speaks(address: Address, credentials: Credentials | None = None) -> None:
    connection = await dial(address.url, credentials=credentials or Credentials())
    await connection.send(b"hello")
    assert await connection.receive() == b"hello"
    await connection.close()


@pytest.mark.parametrize(
    "said", ["", "GET /janus HTTP/1.1\r\nHost: x\r\nX-", UPGRADE, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"]
)
async def test_who_does_not_ask_for_a_websocket_in_time_is_cut_off(
    said: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(request_s=0.2) as address:
        with ExitStack() as stack:
            sock = knock(stack, address.port)
            await asyncio.get_running_loop().sock_sendall(sock, said.encode())
            began = time.monotonic()
            answer = await ended(sock)
            assert 0.1 < time.monotonic() - began < 2
            assert answer == b"" or b"404" in answer
    assert f"{CROWD}:" in caplog.text and "asked for no websocket within 0.2 s" in caplog.text


async def test_headers_that_trickle_in_do_not_buy_time() -> None:
    async with listening(request_s=0.3) as address:
        with ExitStack() as stack:
            sock, loop = knock(stack, address.port), asyncio.get_running_loop()
            began = time.monotonic()
            with pytest.raises(OSError), anyio.fail_after(3):
                for letter in UPGRADE:
                    await loop.sock_sendall(sock, letter.encode())
                    await anyio.sleep(0.02)
                raise AssertionError
            assert time.monotonic() - began < 2


async def test_a_tls_handshake_has_to_be_as_quick(issued: Issued, caplog: pytest.LogCaptureFixture) -> None:
    entrance = Entrance(server_context(issued.cert, issued.key))
    async with listening(request_s=0.2, entrance=entrance) as address:
        with ExitStack() as stack:
            silent, broken = knock(stack, address.port), knock(stack, address.port)
            await asyncio.get_running_loop().sock_sendall(broken, b"no handshake at all")
            assert await ended(silent) == b""
            await ended(broken)
    assert "asked for no websocket within 0.2 s" in caplog.text
    assert "no TLS came about (" in caplog.text and "Traceback" not in caplog.text


@pytest.mark.parametrize("tls", [False, True])
async def test_a_crowd_of_silent_connections_pushes_out_itself_and_nobody_else(
    tls: bool, authority: Authority, issued: Issued
) -> None:
    entrance = Entrance(server_context(issued.cert, issued.key)) if tls else Entrance()
    credentials = Credentials(client_context(authority.cert)) if tls else Credentials()
    async with listening(entrance=entrance) as address:
        with ExitStack() as stack:
            quiet = knock(stack, address.port, "127.0.0.3")
            await anyio.sleep(0.1)
            crowd = []
            for _ in range(4 * NEWCOMERS):
                crowd.append(knock(stack, address.port))
                await anyio.lowlevel.checkpoint()
            for gone in crowd[: 3 * NEWCOMERS]:
                assert await ended(gone) == b""
            assert await is_open(quiet)
            assert all([await is_open(sock) for sock in crowd[-10:]])
            await speaks(address, credentials)


async def test_devices_get_in_while_strangers_knock_all_the_time() -> None:
    done = anyio.Event()
    async with listening() as address:

        async def flood() -> None:
            while not done.is_set():
                with ExitStack() as stack:
                    for _ in range(20):
                        knock(stack, address.port)
                        await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as group:
            group.start_soon(flood)
            for _ in range(20):
                await speaks(address)
            done.set()


async def test_who_connects_too_often_is_not_let_in_and_others_are(caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as address:
        with ExitStack() as stack, anyio.fail_after(10):
            knocks = 0
            while f"{CROWD}: connects too often" not in caplog.text:
                last = knock(stack, address.port)
                knocks += 1
                await anyio.lowlevel.checkpoint()
            assert knocks > AT_ONCE
            assert await ended(last) == b""
            await speaks(address)


async def test_who_opened_a_websocket_and_says_nothing_is_a_stranger_still() -> None:
    async with listening(listen_for_ever, newcomers=2) as address:
        silent = await dial(address.url)
        greeted = await dial(address.url)
        await greeted.send(b"hello")
        assert await greeted.receive() == b"welcome"
        others = [await dial(address.url) for _ in range(2)]
        with pytest.raises(LinkLost), anyio.fail_after(3):
            await silent.receive()
        with anyio.move_on_after(0.1) as waiting:
            await greeted.receive()
        assert waiting.cancelled_caught
        for each in (silent, greeted, *others):
            await each.close()


async def test_a_stranger_cannot_make_the_cloud_hold_a_large_message() -> None:
    got: list[int] = []

    async def first(connection: Connection) -> None:
        got.append(len(await connection.receive()))
        connection.welcome()
        await connection.send(b"welcome")
        got.append(len(await connection.receive()))
        await connection.send(b"thanks")

    async with listening(first) as address:
        device = await dial(address.url)
        await device.send(bytes(64 * 1024))
        assert await device.receive() == b"welcome"
        await device.send(bytes(1 << 20))
        assert await device.receive() == b"thanks"
        await device.close()
        assert got == [64 * 1024, 1 << 20]
        stranger = await dial(address.url)
        with pytest.raises(LinkLost):
            for _ in range(20):
                await stranger.send(bytes(NEWCOMER_BYTES // 4))
            await stranger.receive()
        await stranger.close()
    assert got[2:] in ([], [NEWCOMER_BYTES // 4])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer a-token-of-another-one-1"}, 401),
        ({"Authorization": f"Basic {TOKEN.get_secret_value()}"}, 401),
        ({"Authorization": f"Bearer {TOKEN.get_secret_value()}", "Origin": "http://page.example"}, 400),
        ({"Authorization": f"Bearer {TOKEN.get_secret_value()}", "Sec-WebSocket-Protocol": "x"}, 400),
        ({"Authorization": f"Bearer {TOKEN.get_secret_value()}"}, 101),
    ],
)
async def test_only_a_device_with_the_token_comes_in(
    headers: dict[str, str], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    met: list[Connection] = []

    async def note(connection: Connection) -> None:
        met.append(connection)
        await echo(connection)

    async with (
        listening(note, entrance=Entrance(tokens=Tokens([TOKEN]))) as address,
        aiohttp.ClientSession() as session,
    ):
        try:
            async with session.ws_connect(address.url, headers=headers):
                found = 101
        except aiohttp.WSServerHandshakeError as error:
            found = error.status
            assert error.headers is not None
            assert ("WWW-Authenticate" in error.headers) == (status == 401)
            assert error.headers["Connection"] == "close"
    assert found == status
    assert bool(met) == (status == 101)
    assert ("turned away" in caplog.text) == (status != 101)
    assert "token-of" not in caplog.text


async def test_a_stranger_s_nonsense_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with listening(request_s=1) as address:
        for number in range(100):
            with ExitStack() as stack:
                sock = knock(stack, address.port)
                await asyncio.get_running_loop().sock_sendall(
                    sock, b"GET \x00\xff secret\r\n\r\n" * (1 + number % 3)
                )
                assert b"400" in await ended(sock)
        await speaks(address)
    assert "secret" not in caplog.text
    assert len(caplog.text.splitlines()) < 30


async def test_a_session_that_breaks_is_logged_once_and_the_others_live(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(connection: Connection) -> None:
        connection.welcome()
        if await connection.receive() != b"hello":
            raise KeyError("a fault of ours")
        await connection.send(b"hello")

    async with listening(broken) as address:
        device = await dial(address.url)
        await device.send(b"x")
        with pytest.raises(LinkLost):
            await device.receive()
        await device.close()
        await speaks(address)
    assert caplog.text.count("its session broke") == 1 and "a fault of ours" in caplog.text


def open_sockets() -> int:
    files = Path("/proc/self/fd").iterdir()
    return sum(str(path.readlink()).startswith("socket:") for path in files if path.is_symlink())


@pytest.mark.skipif(sys.platform != "linux", reason="counts sockets under /proc")
async def test_a_device_that_never_reads_does_not_keep_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("transport.websocket.CLOSE_S", 0.2)
    over = anyio.Event()

    async def pour(connection: Connection) -> None:
        connection.welcome()
        with anyio.move_on_after(0.2):
            while True:
                await connection.send(bytes(1 << 20))
        over.set()

    async with listening(pour) as address:
        before = open_sockets()
        with ExitStack() as stack:
            sock = knock(stack, address.port)
            await asyncio.get_running_loop().sock_sendall(sock, f"{UPGRADE}\r\n".encode())
            with anyio.fail_after(5):
                await over.wait()
                while open_sockets() > before + 1:  # noqa: ASYNC110 - the kernel sends no event
                    await anyio.sleep(0.05)


async def test_leaving_ends_who_has_only_knocked() -> None:
    with ExitStack() as stack:
        async with listening() as address:
            silent = knock(stack, address.port)
            await speaks(address)
        assert await ended(silent) == b""
        with pytest.raises(LinkLost, match="cannot connect"):
            await dial(address.url)


@pytest.mark.parametrize("leaves", [True, False])
async def test_connections_that_have_ended_are_forgotten_but_for_the_last(leaves: bool) -> None:
    served: list[weakref.ref[Connection]] = []

    async def one_message(connection: Connection) -> None:
        served.append(weakref.ref(connection._socket))  # type: ignore[attr-defined]
        connection.welcome()
        await connection.receive()

    async with listening(one_message) as address:
        for _ in range(4):
            device = await dial(address.url)
            if not leaves:
                await device.send(b"so the cloud closes")
                with pytest.raises(LinkLost):
                    await device.receive()
            await device.close()
        with anyio.fail_after(3):
            while sum(connection() is not None for connection in served) > 1:
                gc.collect()
                await anyio.sleep(0.01)
    assert len(served) == 4
