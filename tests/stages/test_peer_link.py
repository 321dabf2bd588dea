import math
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace

import anyio
import numpy as np
import pytest

from pipeline.clock import ManualClock
from pipeline.errors import JanusError
from stages.holder import DISPLACED
from stages.peer_link import AGAIN_S, UNDER_WAY, PeerLink
from tests.settled import settled
from tests.stages.ear import Ear
from tests.stages.parts import clip_of, pixels_packet
from tests.transport.test_handshake import PARTS, PEER, SEEKER
from tests.transport.world import EchoCloud, TurnedClock, accept_all
from transport.client import connect_cloud
from transport.messages import Result
from transport.server import open_session

DIMS = (3, 2, 4, 5)
TOKEN = np.float32([1, 2, 3, 4])
WELCOME = PEER.model_copy(update={"codecs": ("raw",), "max_message_bytes": 50_000, "max_in_flight": 8})


@dataclass
class FakePeer(EchoCloud):
    """Serves part 3 of four; answers each clip that it is let answer with `payload`."""

    welcome: object = WELCOME
    payload: bytes = TOKEN.tobytes()
    error: str | None = None
    let: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(0))

    async def serve(self, connection):
        with suppress(JanusError):
            async with open_session(connection, self.welcome, accept_all) as session:
                async for item in session.packets():
                    self.seen.append(item.header.clip_id)
                    await self.let.acquire()
                    told = {"queue": 1.0, "decode": 2.0, "tail": 3.0, "odd": 4.0}
                    result = Result(
                        clip_id=item.header.clip_id,
                        payload=self.payload,
                        error=self.error,
                        durations_ms=told,
                    )
                    await session.send_result(result)


@asynccontextmanager
async def linked(waiting=1, clock=None, **changed):
    """A link to a peer, what it tells, and the peer."""
    ear, clock = Ear(), clock or TurnedClock()
    async with anyio.create_task_group() as tasks:
        peer = FakePeer(tasks, **changed)
        hello = SEEKER.model_copy(update={"codecs": ("raw",)})
        options = {"clock": clock, "patience_s": math.inf, "at_once": False, "most_in_flight": UNDER_WAY}
        link = PeerLink(
            "yard:1",
            partial(connect_cloud, peer.dial, hello, **options),
            digests=PARTS,
            dims=DIMS,
            shape=PEER.shape,
            hearer=ear,
            clock=clock,
            waiting=waiting,
        )
        tasks.start_soon(link.run)
        await settled()
        yield link, ear, peer
        tasks.cancel_scope.cancel()


def offer(link, *seqs):
    for seq in seqs:
        link.offer(pixels_packet(clip_of(seq), "raw"))


def ids(*seqs):
    return [f"yard/{seq:06d}" for seq in seqs]


async def test_a_peer_is_known_by_the_digest_of_its_part_and_answers_with_its_token():
    async with linked() as (link, ear, peer):
        assert (link.name, link.part, link.prompt) == ("yard:1", 2, True)
        offer(link, 0)
        peer.let.release()
        await ear.until(lambda: ear.tokens)
        np.testing.assert_array_equal(ear.tokens["yard/000000"], TOKEN)
        assert ear.latency_ms["yard/000000"] == {"uplink": 0.0, "queue": 1.0, "decode": 2.0, "tail": 3.0}


@pytest.mark.parametrize("waiting", [1, 3])
async def test_what_waits_in_front_of_a_stalled_peer_is_bounded_and_the_newest(waiting):
    async with linked(waiting) as (link, ear, peer):
        for seq in range(10):
            offer(link, seq)
            await settled()
        kept = [*range(UNDER_WAY), *range(10 - waiting, 10)]
        gone = [seq for seq in range(10) if seq not in kept]
        assert ear.gone == [(clip_id, 2, DISPLACED) for clip_id in ids(*gone)]
        for _ in range(10):
            peer.let.release()
        await ear.until(lambda: len(ear.tokens) == len(kept))
        assert list(ear.tokens) == peer.seen == ids(*kept)


async def test_a_peer_is_behind_while_it_owes_what_nobody_waits_for_and_its_late_answer_is_thrown_away():
    async with linked() as (link, ear, peer):
        offer(link, 0)
        await settled()
        assert link.prompt
        link.withdraw("yard/000000")
        assert not link.prompt
        peer.let.release()
        await settled()
        assert link.prompt
        assert ear.tokens == {}


async def test_nothing_is_kept_of_clips_that_were_withdrawn_before_the_peer_acknowledged_them():
    async with linked() as (link, ear, peer):
        peer.let = anyio.Semaphore(60)
        for seq in range(60):
            offer(link, seq)
            while not link._client._outbox.under_way:
                await anyio.lowlevel.checkpoint()
            link.withdraw(f"yard/{seq:06d}")
            assert not link.prompt
            await settled()
            assert link.prompt
        assert len(peer.seen) == 60
        assert (link._uplink_ms, ear.tokens) == ({}, {})


async def test_a_clip_that_is_withdrawn_before_it_left_never_does():
    async with linked() as (link, ear, peer):
        for seq in range(UNDER_WAY + 1):
            offer(link, seq)
            await settled()
        link.withdraw(f"yard/{UNDER_WAY:06d}")
        for _ in range(9):
            peer.let.release()
        await ear.until(lambda: len(ear.tokens) == UNDER_WAY)
        await settled()
        assert peer.seen == ids(*range(UNDER_WAY))
        assert link.prompt


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"payload": bytes(12)}, "12 bytes are no token of 4 channels"),
        ({"payload": np.float32([1, 2, math.nan, 4]).tobytes()}, "the part's token is not finite"),
        (
            {"payload": np.float32([3.4e38, -3.4e38, 0, 0]).tobytes()},
            "the part's token has values beyond 10,000",
        ),
        ({"error": "png: frame 0 does not decode"}, "png: frame 0 does not decode"),
    ],
    ids=["size", "not finite", "huge", "error"],
)
async def test_an_answer_that_is_no_token_of_this_part_is_a_missing_part(answer, why):
    async with linked(**answer) as (link, ear, peer):
        offer(link, 0)
        peer.let.release()
        await ear.until(lambda: ear.gone)
        assert ear.gone == [("yard/000000", 2, why)]
        assert ear.tokens == {}


async def test_a_clip_that_is_too_large_for_the_peer_is_a_missing_part():
    small = WELCOME.model_copy(update={"max_message_bytes": 2000})
    async with linked(welcome=small) as (link, ear, _):
        offer(link, 0)
        await ear.until(lambda: ear.gone)
        assert "over the agreed limit of 2000 bytes" in ear.gone[0][2]
        assert ear.gone[0][2].endswith("raise --max-message-mb on the peer")


async def test_a_lost_link_is_told_and_mended_and_then_serves_again():
    async with linked() as (link, ear, peer):
        offer(link, 0)
        await settled()
        peer.links[0].cut()
        await ear.until(lambda: ear.losses)
        await settled()
        assert link.part == 2
        offer(link, 1)
        for _ in range(3):
            peer.let.release()
        await ear.until(lambda: "yard/000001" in ear.tokens)


async def test_a_peer_that_comes_back_with_another_part_serves_that():
    async with linked() as (link, ear, peer):
        peer.welcome, peer.payload = WELCOME.model_copy(update={"digest": PARTS[0]}), TOKEN[:3].tobytes()
        peer.links[0].cut()
        await ear.until(lambda: ear.losses)
        await settled()
        assert link.part == 0
        offer(link, 1)
        peer.let.release()
        await ear.until(lambda: ear.tokens)
        np.testing.assert_array_equal(ear.tokens["yard/000001"], TOKEN[:3])


async def test_from_the_first_moment_on_a_link_is_that_of_its_own_part():
    client = SimpleNamespace(connected=True, overdue=False, welcome=WELCOME, withdraw=lambda clip_id: None)
    given = {"digests": PARTS, "dims": DIMS, "shape": PEER.shape, "waiting": 1}
    link = PeerLink("yard:1", None, hearer=(ear := Ear()), clock=ManualClock(), **given)
    assert link.part is None
    link._client = client
    assert link.part == 2
    offer(link, 0, 1)
    assert ear.gone == [("yard/000000", 2, DISPLACED)]


async def test_a_peer_that_does_not_fit_is_said_once_and_taken_when_it_does(caplog):
    strange = WELCOME.model_copy(update={"digest": "e" * 64})
    clock = ManualClock()
    async with linked(clock=clock, welcome=strange) as (link, _, peer):
        for asked in range(1, 5):
            assert link.part is None
            assert len(peer.links) == asked
            clock.advance(AGAIN_S)
            await settled()
        said = [line for line in caplog.messages if "serves part eeeeeeee" in line]
        assert len(said) == 1 and said[0].endswith("going on without its part")
        peer.welcome = WELCOME
        clock.advance(AGAIN_S)
        await settled()
        assert link.part == 2


@pytest.mark.parametrize("shape", [(1, 32, 32, 3), None])
async def test_a_peer_that_takes_clips_of_another_shape_holds_no_part_until_it_takes_those_of_the_run(
    shape, caplog
):
    other = WELCOME.model_copy(update={"shape": shape})
    async with linked(welcome=other) as (link, ear, peer):
        assert link.part is None
        said = f"takes clips of shape {list(shape or ())}, those of this run are of [1, 64, 64, 3]"
        assert [line for line in caplog.messages if said in line and line.endswith("without its part")]
        peer.welcome = WELCOME
        peer.links[0].cut()
        await ear.until(lambda: ear.losses)
        await settled()
        assert link.part == 2
