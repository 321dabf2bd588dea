from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import CodecError
from pipeline.worker import Worker
from stages.receive import Arrival, Ready, Receive, Reply
from stages.tail_service import Decoded, TailService
from tests.stages.frames import channel_of
from tests.stages.packets import CLOCK, TickingClock, motion, packet_of, plan_for
from tests.transport.world import packet
from transport.codecs import MOST_BRIEF_BYTES


class Picky:
    """Decodes to nothing much; refuses the clips in `wrong` with the error given there."""

    def __init__(self, wrong=None):
        self._wrong = wrong or {}

    def decode(self, item):
        if error := self._wrong.get(item.header.seq):
            raise error
        return Decoded(item.header, np.zeros((3, 8), np.float32), np.ones(3, np.uint16))


async def received(service, *arrivals, clock=CLOCK):
    with Worker("codec") as worker:
        stage = Receive(service, worker, clock)
        return [outcome async for outcome in stage.run(await channel_of(*arrivals))]


@settings(max_examples=30, deadline=None)
@given(wrong=st.sets(st.integers(0, 7)))
async def test_each_arrival_is_decoded_or_answered_in_turn_to_the_one_who_asked(wrong):
    service = Picky({seq: CodecError(f"bad {seq}") for seq in wrong})
    arrivals = [Arrival(f"asker {seq}", packet(seq), float(seq)) for seq in range(8)]
    for seq, outcome in enumerate(await received(service, *arrivals)):
        assert isinstance(outcome, Reply if seq in wrong else Ready)
        assert outcome.asker == f"asker {seq}"
        if seq in wrong:
            assert (outcome.result.clip_id, outcome.result.error) == (f"street/{seq:06d}", f"bad {seq}")
        else:
            assert (outcome.decoded.header.seq, outcome.arrived_at) == (seq, float(seq))


@pytest.mark.parametrize("pruning", ["none", "uniform:8"])
async def test_what_the_device_encoded_is_what_the_cloud_has(model, pruning):
    sent = packet_of(model, motion(), plan_for(model, 6, pruning))
    (ready,) = await received(TailService(model), Arrival("asker", sent, 0.0))
    assert ready.decoded.header == sent.header
    assert ready.decoded.array.tobytes() == sent.payload
    assert ready.decoded.sizes.sum() == model.num_tokens


async def test_a_payload_that_does_not_decode_is_answered_with_what_is_wrong(model):
    sent = replace(packet_of(model, motion(), plan_for(model, 6)), payload=b"\0" * 100)
    (reply,) = await received(TailService(model), Arrival("asker", sent, 0.0))
    assert reply.result.clip_id == sent.header.clip_id
    assert "100 bytes" in reply.result.error


async def test_an_unexpected_error_is_the_answer_of_its_clip_and_serving_goes_on(caplog):
    service = Picky({0: MemoryError("x" * 5000)})
    arrivals = [Arrival("asker", packet(seq), 0.0) for seq in range(2)]
    reply, ready = await received(service, *arrivals)
    assert reply.result.error.startswith("MemoryError: xxx")
    assert isinstance(ready, Ready)
    assert "street/000000" in caplog.text


async def test_decoding_is_timed_on_the_codec_thread():
    clock = TickingClock(tick_s=0.25)
    (ready,) = await received(Picky(), Arrival("asker", packet(), 0.0), clock=clock)
    assert ready.durations_ms == {"decode": 250.0}
    assert clock.threads == {"codec"}


@pytest.mark.parametrize("codec", ["float32", "raw"])
@pytest.mark.parametrize(("more_bytes", "thread"), [(0, "MainThread"), (1, "codec")])
async def test_a_small_payload_that_is_only_copied_takes_no_way_to_a_thread(codec, more_bytes, thread):
    clock, payload = TickingClock(tick_s=0.25), bytes(MOST_BRIEF_BYTES + more_bytes)
    (ready,) = await received(Picky(), Arrival("asker", packet(0, payload, codec=codec), 0.0), clock=clock)
    assert ready.durations_ms == {"decode": 250.0}
    assert clock.threads == {thread}
