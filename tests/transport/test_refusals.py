"""What fails while a cloud is dialled: one line that says what, and what would be right."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from pydantic import SecretStr

from pipeline.errors import HandshakeRefused, JanusError, LinkLost
from tests.transport.certificates import Authority, Issued
from transport.connection import Connection
from transport.security import Credentials, Entrance, Tokens, client_context, server_context
from transport.serving import Address, serve
from transport.websocket import dial

TOKEN, OTHER_TOKEN = SecretStr("a-token-of-this-cloud-0"), SecretStr("a-token-of-another-one-1")
PLAIN = Entrance()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture(scope="module")
def issued(authority: Authority) -> Issued:
    return authority.issue("cloud")


async def echo(connection: Connection) -> None:
    connection.welcome()
    while True:
        await connection.send(await connection.receive())


@asynccontextmanager
async def listening(entrance: Entrance = PLAIN) -> AsyncIterator[Address]:
    async with serve("127.0.0.1", 0, echo, max_message_bytes=1 << 20, entrance=entrance) as address:
        yield address


def showing(
    authority: Authority | None, own: Issued | None = None, token: SecretStr | None = None
) -> Credentials:
    ca = None if authority is None else authority.cert
    files = () if own is None else (own.cert, own.key)
    return Credentials(client_context(ca, *files), own is not None, token)


async def refused(url: str, credentials: Credentials, error: type[JanusError] = HandshakeRefused) -> str:
    """The line that dialling ends with."""
    with pytest.raises(error) as caught:
        connection = await dial(url, credentials=credentials, open_timeout_s=3)
        await connection.close()
    assert "\n" not in str(caught.value) and TOKEN.get_secret_value() not in repr(caught.value)
    return str(caught.value)


async def says(url: str, credentials: Credentials) -> None:
    connection = await dial(url, credentials=credentials)
    await connection.send(b"hello")
    assert await connection.receive() == b"hello"
    await connection.close()


def verified(issued: Issued, authority: Authority | None = None) -> Entrance:
    return Entrance(server_context(issued.cert, issued.key, authority.cert if authority else None))


async def test_all_that_fits_together_speaks(authority: Authority, issued: Issued) -> None:
    tokens = Tokens([OTHER_TOKEN, TOKEN])
    entrance = Entrance(server_context(issued.cert, issued.key, authority.cert), tokens)
    async with listening(entrance) as address:
        assert address.url.startswith("wss://")
        await says(address.url, showing(authority, issued, TOKEN))
        await says(f"wss://localhost:{address.port}", showing(authority, issued, OTHER_TOKEN))
    async with listening(Entrance(tokens=tokens)) as address:
        await says(address.url, Credentials(token=TOKEN))
    async with listening() as address:
        await says(address.url, Credentials(token=TOKEN))


async def test_a_large_message_crosses_tls_whole(authority: Authority, issued: Issued) -> None:
    async with listening(verified(issued)) as address:
        connection = await dial(address.url, credentials=showing(authority), limit_bytes=1 << 20)
        for size in (1, 200_000, 1 << 20):
            await connection.send(bytes(size))
            assert len(await connection.receive()) == size
        await connection.close()


async def test_no_older_tls_is_spoken(authority: Authority, issued: Issued) -> None:
    old = client_context(authority.cert)
    with pytest.warns(DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with listening(verified(issued)) as address:
        await refused(address.url, Credentials(old), JanusError)


async def test_a_certificate_that_does_not_hold_says_why(
    authority: Authority, stranger: Authority, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transport.security.certificates._require_valid", lambda *_, **__: None)
    old = authority.issue("old", days=-1)
    elsewhere = authority.issue("elsewhere", hosts="DNS:cloud.example")
    for certificate, trusted, line in (
        (old, authority, "its certificate, or its CA's, has expired; renew it, unless"),
        (elsewhere, authority, "its certificate is not for 127.0.0.1; dial a name that it holds"),
        (issued, stranger, "is of a CA that this device does not know; give that CA's file by --tls-ca"),
        (issued, None, "is of a CA that this device does not know; give that CA's file by --tls-ca"),
    ):
        async with listening(verified(certificate)) as address:
            assert line in await refused(address.url, showing(trusted, token=TOKEN))


async def test_a_plain_link_to_a_tls_port_is_told_the_right_url(issued: Issued) -> None:
    async with listening(verified(issued)) as address:
        line = await refused(f"ws://127.0.0.1:{address.port}", Credentials())
    assert line == f"127.0.0.1:{address.port}: speaks TLS; dial {address.url}"


async def test_a_tls_link_to_a_plain_port_is_told_the_right_url(authority: Authority) -> None:
    async with listening() as address:
        line = await refused(f"wss://127.0.0.1:{address.port}", showing(authority))
    assert f"speaks no TLS; dial {address.url}, or give the cloud --tls-cert and --tls-key" in line


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_cloud_that_wants_a_certificate_says_so_and_which(
    authority: Authority, stranger: Authority, issued: Issued, newest: ssl.TLSVersion
) -> None:
    async with listening(verified(issued, authority)) as address:
        for own, line in (
            (None, "wants a certificate of this device; give --tls-cert and --tls-key"),
            (stranger.issue("other"), "does not take this device's certificate; give one of the CA"),
        ):
            credentials = showing(authority, own)
            assert credentials.tls is not None
            credentials.tls.maximum_version = newest
            assert line in await refused(address.url, credentials)


async def test_a_token_that_is_wrong_or_missing_is_told_apart() -> None:
    async with listening(Entrance(tokens=Tokens([TOKEN]))) as address:
        assert "wants a token; give it by --token-file or JANUS_TOKEN" in await refused(
            address.url, Credentials()
        )
        line = await refused(address.url, Credentials(token=OTHER_TOKEN))
    assert "does not know this device's token; give one that the cloud's --token-file holds" in line
    assert OTHER_TOKEN.get_secret_value() not in line


async def test_a_peer_that_is_dialled_is_not_called_a_cloud(
    authority: Authority, stranger: Authority, issued: Issued
) -> None:
    lines: list[str] = []

    async def dialled(url: str, credentials: Credentials) -> None:
        with pytest.raises(HandshakeRefused) as caught:
            await dial(url, role="peer", credentials=credentials)
        lines.append(str(caught.value))

    async with listening(Entrance(tokens=Tokens([TOKEN]))) as address:
        await dialled(address.url, Credentials(token=OTHER_TOKEN))
        await dialled(f"wss://127.0.0.1:{address.port}", showing(authority))
    async with listening(verified(issued, authority)) as address:
        await dialled(address.url, showing(authority, stranger.issue("box")))
    assert "give one that the peer's --token-file holds" in lines[0]
    assert "or give the peer --tls-cert and --tls-key" in lines[1]
    assert "give one of the CA in the peer's --tls-client-ca" in lines[2]


@asynccontextmanager
async def s_server(issued: Issued, *arguments: object) -> AsyncIterator[str]:
    """The URL of another TLS server than ours."""
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", issued.cert, "-key", issued.key]
    process = await asyncio.create_subprocess_exec(
        *map(str, [*command, *arguments]), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        line = b""
        while b"ACCEPT " not in line:
            line = await process.stdout.readline()
        yield f"wss://127.0.0.1:{line.decode().rsplit(':', 1)[1].strip()}"
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("newest", ["-tls1_2", "-tls1_3"])
async def test_the_alerts_of_other_servers_are_understood(
    authority: Authority, stranger: Authority, issued: Issued, newest: str
) -> None:
    asking = ("-Verify", 1, "-verify_return_error", "-CAfile", authority.cert, newest)
    async with s_server(issued, *asking) as url:
        assert "wants a certificate of this device" in await refused(url, showing(authority))
    async with s_server(issued, *asking) as url:
        line = await refused(url, showing(authority, stranger.issue("other")))
    assert "does not take this device's certificate" in line and "unknown ca" in line


async def test_a_server_of_old_tls_alone_is_named(authority: Authority, issued: Issued) -> None:
    newer = client_context(authority.cert)
    newer.maximum_version = ssl.TLSVersion.TLSv1_2
    async with s_server(issued, "-tls1_3") as url:
        assert "speaks no TLS of version 1.2 or later" in await refused(url, Credentials(newer))


@asynccontextmanager
async def web_server(handler: object, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get("/janus", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_a_server_that_sends_a_device_elsewhere_is_not_followed() -> None:
    shown: list[str] = []

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        shown.append(request.headers["Authorization"])
        raise web.HTTPFound(f"/janus?{len(shown)}")

    async with web_server(elsewhere) as port:
        line = await refused(f"ws://127.0.0.1:{port}", Credentials(token=TOKEN))
    assert f"127.0.0.1:{port}: answered with HTTP 302, so it is no Janus cloud" in line
    assert len(shown) == 1


async def test_a_tls_server_that_answers_plain_requests_is_recognised(issued: Issued) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    line = await refused(f"ws://127.0.0.1:{port}", Credentials())
    assert "answered with HTTP 400, so it is no Janus cloud" in line
    server.close()


async def test_a_cloud_that_hangs_up_may_be_tried_again(authority: Authority, issued: Issued) -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    context = server_context(issued.cert, issued.key)
    async with web_server(hang_up, context) as port:
        line = await refused(f"wss://127.0.0.1:{port}", showing(authority, issued), LinkLost)
    assert "closed the connection before it was open" in line


async def test_no_token_reaches_who_does_not_show_a_good_certificate(
    stranger: Authority, issued: Issued
) -> None:
    shown: list[str] = []

    async def note(request: web.Request) -> web.StreamResponse:
        shown.append(str(request.headers))
        return web.Response()

    async with web_server(note, server_context(issued.cert, issued.key)) as port:
        await refused(f"wss://127.0.0.1:{port}", showing(stranger, issued, TOKEN))
    assert shown == []
