"""The first words of a link, from both sides: hello and welcome, and what makes an end refuse the other."""

from collections.abc import Callable
from dataclasses import dataclass

import anyio

from pipeline.clock import Clock
from pipeline.errors import HandshakeRefused, LinkLost, ProtocolError
from transport.connection import Connection
from transport.messages import (
    HELLO_LIMIT_BYTES,
    PROTOCOL,
    REPLY_LIMIT_BYTES,
    Bye,
    ErrorCode,
    ErrorMessage,
    Hello,
    Message,
    Probe,
    Role,
    Welcome,
    decode,
    encode,
)
from transport.untrusted import one_line

HANDSHAKE_S = 5.0
NOT_SOUGHT: dict[Role, str] = {
    "cloud": "this is no peer but a cloud; name it by --cloud",
    "peer": "this is no cloud but a peer, which serves one part of a DeViT; name it by --peers",
}


@dataclass(frozen=True, slots=True)
class Link:
    """A connection whose two ends have accepted each other."""

    connection: Connection
    welcome: Welcome
    rtt_s: float


async def greet(connection: Connection, hello: Hello, clock: Clock, timeout_s: float = HANDSHAKE_S) -> Link:
    """The device's side: say hello, check the welcome, measure the round trip.

    HandshakeRefused when the two never fit, LinkLost when the peer goes away or says nothing.
    """
    peer = connection.peer
    try:
        with anyio.fail_after(timeout_s):
            await connection.send(encode(hello))
            welcome = _welcome(peer, hello, decode(await connection.receive(), REPLY_LIMIT_BYTES))
            _refuse_other_model(peer, hello, welcome)
            return Link(connection, welcome, await _round_trip(connection, clock))
    except TimeoutError:
        raise LinkLost(f"{peer}: no Janus welcome within {timeout_s:g} s") from None
    except ProtocolError as error:
        raise HandshakeRefused(f"{peer}: does not speak as a Janus {hello.seeks}: {error}") from None


async def admit(
    connection: Connection,
    welcome: Welcome,
    timeout_s: float = HANDSHAKE_S,
    has_room: Callable[[], bool] = lambda: True,
) -> Hello:
    """The cloud's side: hear the hello, then say welcome, or why not; `has_room` is asked about who fits.

    HandshakeRefused after a refusal has been sent, LinkLost when the peer goes away or says nothing.
    """
    try:
        with anyio.fail_after(timeout_s):
            hello = decode(await connection.receive(), HELLO_LIMIT_BYTES)
    except TimeoutError:
        raise LinkLost(f"{connection.peer}: no hello within {timeout_s:g} s") from None
    except ProtocolError as error:
        raise await _refusal(connection, "bad-message", str(error)) from None
    if not isinstance(hello, Hello):
        raise await _refusal(connection, "bad-message", f"{hello.type} message where a hello belongs")
    problem = _problem(hello, welcome)
    if problem is not None:
        raise await _refusal(connection, *problem)
    if not has_room():
        raise await _refusal(connection, "busy", "there is no room for another device")
    connection.welcome()
    await connection.send(encode(welcome))
    return hello


def _welcome(peer: str, hello: Hello, message: Message) -> Welcome:
    if isinstance(message, ErrorMessage):
        refused = LinkLost if message.code == "busy" else HandshakeRefused
        sought = message.message not in NOT_SOUGHT.values()
        raise refused(f"{peer}: {f'the {hello.seeks} refused: ' if sought else ''}{message.message}")
    if not isinstance(message, Welcome):
        raise ProtocolError(f"{message.type} message where a welcome belongs")
    return message


def _refuse_other_model(peer: str, hello: Hello, welcome: Welcome) -> None:
    problem = _problem(hello, welcome)
    if problem is not None:
        raise HandshakeRefused(f"{peer}: {problem[1]}")


def _problem(hello: Hello, welcome: Welcome) -> tuple[ErrorCode, str] | None:
    if hello.protocol != welcome.protocol or hello.protocol != PROTOCOL:
        versions = f"the {welcome.serves} speaks protocol {welcome.protocol}, the device {hello.protocol}"
        return "protocol", f"{versions}; install the same version on both"
    if hello.seeks != welcome.serves:
        return "model", NOT_SOUGHT[welcome.serves]
    other = _other_part(hello, welcome) if welcome.serves == "peer" else _other_model(hello, welcome)
    if other is None and not set(hello.codecs) & set(welcome.codecs):
        return "codec", f"no codec in common; the {welcome.serves} takes {', '.join(welcome.codecs)}"[:500]
    return other


def _other_part(hello: Hello, welcome: Welcome) -> tuple[ErrorCode, str] | None:
    if welcome.digest in hello.parts:
        return None
    trained = ", ".join(digest[:8] for digest in hello.parts)
    return "digest", (
        f"the peer serves part {welcome.digest[:8]}, the device's fusion was trained with {trained}; "
        "give both the files of one run"
    )


def _other_model(hello: Hello, welcome: Welcome) -> tuple[ErrorCode, str] | None:
    if hello.model != welcome.model:
        return "model", f"the cloud runs {welcome.model}, the device {hello.model}; give both the same model"
    if hello.digest != welcome.digest:
        digests = f"{welcome.digest[:12]} on the cloud, {hello.digest[:12]} on the device"
        return "digest", f"the weights of {hello.model} differ: {digests}; give both the same weights"
    return None


async def _round_trip(connection: Connection, clock: Clock) -> float:
    sent_at = clock.now()
    await connection.send(encode(Probe(nonce=0)))
    reply = decode(await connection.receive(), REPLY_LIMIT_BYTES)
    if isinstance(reply, Bye):
        raise LinkLost(f"{connection.peer}: said goodbye: {one_line(reply.reason)}")
    if not isinstance(reply, Probe) or not reply.reply:
        raise ProtocolError(f"{reply.type} message where a probe's reply belongs")
    return clock.now() - sent_at


async def _refusal(connection: Connection, code: ErrorCode, text: str) -> HandshakeRefused:
    await connection.send(encode(ErrorMessage(code=code, message=text)))
    return HandshakeRefused(f"{connection.peer}: refused: {text}")
