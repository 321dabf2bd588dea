"""Who takes whom: clouds by model and weights, peers by the part that they serve."""

import anyio
import pytest

from pipeline.clock import ManualClock
from pipeline.errors import HandshakeRefused, LinkLost
from tests.transport.world import HELLO, WELCOME, accept_all
from transport.handshake import Link, greet
from transport.memory import memory_link
from transport.messages import Hello, Welcome, encode
from transport.server import open_session

PARTS = tuple(digit * 64 for digit in "abcd")
PEER = WELCOME.model_copy(
    update={"model": "devit", "digest": PARTS[2], "serves": "peer", "shape": (1, 64, 64, 3)}
)
SEEKER = HELLO.model_copy(
    update={"model": "devit", "digest": "f" * 64, "codecs": ("jpeg",), "seeks": "peer", "parts": PARTS}
)


async def meeting(hello: Hello, welcome: Welcome) -> tuple[Link | HandshakeRefused, HandshakeRefused | None]:
    """What either end makes of the other."""
    near, far = memory_link()
    refused: list[HandshakeRefused] = []

    async def serve() -> None:
        try:
            async with open_session(far, welcome, accept_all) as session:
                async for _ in session.packets():
                    pass
        except HandshakeRefused as error:
            refused.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(serve)
        try:
            outcome: Link | HandshakeRefused = await greet(near, hello, ManualClock())
        except HandshakeRefused as error:
            outcome = error
        await near.close()
    return outcome, refused[0] if refused else None


async def test_a_cloud_that_is_about_to_leave_is_gone_and_not_the_wrong_one() -> None:
    near, far = memory_link()

    async def serve() -> None:
        async with open_session(far, WELCOME, accept_all) as session:
            await session.say_bye("shutting down")
            async for _ in session.packets():
                pass

    async with anyio.create_task_group() as group:
        group.start_soon(serve)
        with pytest.raises(LinkLost, match="said goodbye: shutting down"):
            await greet(near, HELLO, ManualClock())
        await near.close()


@pytest.mark.parametrize("digest", PARTS)
async def test_a_peer_with_any_part_of_the_fusion_is_taken_and_says_which_it_is(digest: str) -> None:
    welcome = PEER.model_copy(update={"digest": digest})
    outcome, refused = await meeting(SEEKER, welcome)
    assert isinstance(outcome, Link) and refused is None
    assert outcome.welcome == welcome


@pytest.mark.parametrize(
    ("hello", "welcome", "line"),
    [
        (
            SEEKER,
            PEER.model_copy(update={"digest": "e" * 64}),
            "the peer serves part eeeeeeee, the device's fusion was trained with "
            "aaaaaaaa, bbbbbbbb, cccccccc, dddddddd; give both the files of one run",
        ),
        (SEEKER, WELCOME, "this is no peer but a cloud; name it by --cloud"),
        (
            HELLO,
            PEER,
            "this is no cloud but a peer, which serves one part of a DeViT; name it by --peers",
        ),
        (
            SEEKER.model_copy(update={"codecs": ("h264",)}),
            PEER,
            "no codec in common; the peer takes int8, float32, jpeg",
        ),
    ],
    ids=["another part", "a cloud", "a peer where a cloud is sought", "no codec"],
)
async def test_who_does_not_fit_is_told_so_in_one_line_at_both_ends(
    hello: Hello, welcome: Welcome, line: str
) -> None:
    near, far = await meeting(hello, welcome)
    assert isinstance(near, HandshakeRefused)
    said = line if hello.seeks != welcome.serves else f"the {hello.seeks} refused: {line}"
    assert str(near) == f"cloud: {said}"
    assert str(far) == f"device: refused: {line}"


async def test_a_device_does_not_take_a_part_of_another_run_from_a_peer_that_takes_everybody() -> None:
    near, far = memory_link()
    await far.send(encode(PEER.model_copy(update={"digest": "e" * 64})))
    with pytest.raises(HandshakeRefused, match="serves part eeeeeeee"):
        await greet(near, SEEKER, ManualClock())
