"""Meeting the peers before a run: each is asked once who it is, so that what is wrong comes out at once."""

import random
from collections.abc import Mapping

import anyio

from commands.runtime import announce
from pipeline.clock import Clock
from pipeline.errors import LinkLost
from pipeline.runner import root_cause
from transport.backoff import Backoff
from transport.connection import Dial
from transport.handshake import greet
from transport.messages import Bye, Hello, Welcome, encode


async def meet(
    dials: Mapping[str, Dial], hello: Hello, clock: Clock, *, connect_s: float, needed: bool = True
) -> dict[str, Welcome]:
    """What each peer that answers says of itself, by name; what the others lack is said on stderr.

    Where one is `needed` and none answers, all are asked again and again for `connect_s`, then LinkLost.
    HandshakeRefused from a peer that answers and does not fit.
    """
    backoff = Backoff(connect_s, random.Random())  # noqa: S311 - jitter is no secret
    said = ""
    while True:
        met, lost = await _ask_all(dials, hello, clock)
        if met or not needed:
            for line in lost:
                announce(f"{line}; going on without its part until it is there")
            return met
        wait_s = backoff.next_wait(clock.now())
        if wait_s is None:
            raise LinkLost(f"none of the {len(dials)} peers answers: {lost[0]}")
        if lost[0] != said:
            announce(f"{lost[0]}; waiting for the first peer")
        said = lost[0]
        await clock.sleep(wait_s)


async def _ask_all(
    dials: Mapping[str, Dial], hello: Hello, clock: Clock
) -> tuple[dict[str, Welcome], list[str]]:
    met: dict[str, Welcome] = {}
    lost: list[str] = []

    async def ask(name: str, connect: Dial) -> None:
        try:
            met[name] = await _ask(connect, hello, clock)
        except LinkLost as error:
            lost.append(str(error))

    try:
        async with anyio.create_task_group() as tasks:
            for name, connect in dials.items():
                tasks.start_soon(ask, name, connect)
    except BaseExceptionGroup as group:
        raise root_cause(group) from None
    return met, lost


async def _ask(connect: Dial, hello: Hello, clock: Clock) -> Welcome:
    connection = await connect()
    try:
        link = await greet(connection, hello, clock)
        await connection.send(encode(Bye(reason="who are you")))
        return link.welcome
    finally:
        await connection.close()
