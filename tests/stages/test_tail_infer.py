import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.worker import Worker
from stages.receive import Ready, Reply
from stages.tail_infer import Inferred, TailInfer
from stages.tail_service import Decoded, TailService
from tests.stages.frames import channel_of
from tests.stages.packets import CLOCK, TickingClock, motion, packet_of, plan_for
from tests.transport.world import packet
from transport.messages import Result


class Batches:
    """A service whose logits are the clip's number; breaks on a batch of the split `breaks`."""

    def __init__(self, breaks=None):
        self.run_together = []
        self._breaks = breaks

    def run(self, batch):
        self.run_together.append([item.header.seq for item in batch])
        assert len({item.batch_key for item in batch}) == 1
        if batch[0].header.split == self._breaks:
            raise RuntimeError("x" * 5000)
        return [np.float32([item.header.seq]) for item in batch]


def ready(seq, split=4, arrived_at=0.0, decode_ms=0.0):
    decoded = Decoded(packet(seq, split=split).header, np.zeros((3, 8), np.float32), np.ones(3, np.uint16))
    return Ready(f"asker {seq}", decoded, arrived_at, {"decode": decode_ms})


def reply(seq):
    return Reply(f"asker {seq}", Result(clip_id=f"street/{seq:06d}", error="does not decode"))


async def inferred(service, *items, max_batch=8, clock=CLOCK):
    with Worker("model") as worker:
        stage = TailInfer(service, worker, clock, max_batch)
        return [outcome async for outcome in stage.run(await channel_of(*items))]


@settings(max_examples=50, deadline=None)
@given(splits=st.lists(st.integers(1, 3), max_size=20), max_batch=st.integers(1, 9))
async def test_each_clip_comes_out_once_for_its_asker_from_a_batch_of_its_own_kind(splits, max_batch):
    service = Batches()
    items = [ready(seq, split) for seq, split in enumerate(splits)]
    outcomes = await inferred(service, *items, max_batch=max_batch)
    assert sorted(int(outcome.output[0]) for outcome in outcomes) == list(range(len(splits)))
    for outcome in outcomes:
        assert isinstance(outcome, Inferred)
        seq = int(outcome.output[0])
        assert (outcome.asker, outcome.clip_id) == (f"asker {seq}", f"street/{seq:06d}")
    assert all(len(batch) <= max_batch for batch in service.run_together)


async def test_what_waits_together_and_shares_a_key_runs_together():
    service = Batches()
    await inferred(service, *(ready(seq, split=4 + seq % 2) for seq in range(6)), max_batch=4)
    assert service.run_together == [[0, 2], [1, 3], [4], [5]]


async def test_who_wants_to_know_hears_how_many_clips_ran_together():
    heard = []
    with Worker("model") as worker:
        stage = TailInfer(Batches(), worker, CLOCK, 4, heard.append)
        items = await channel_of(*(ready(seq, split=4 + seq % 2) for seq in range(6)))
        assert len([outcome async for outcome in stage.run(items)]) == 6
    assert heard == [2, 2, 1, 1]


async def test_an_error_of_the_model_is_the_answer_of_its_batch_alone(caplog):
    items = [ready(0, split=4), ready(1, split=5), ready(2, split=4)]
    outcomes = await inferred(Batches(breaks=4), *items)
    errors = [outcome for outcome in outcomes if isinstance(outcome, Reply)]
    assert [(e.asker, e.result.clip_id) for e in errors] == [
        ("asker 0", "street/000000"),
        ("asker 2", "street/000002"),
    ]
    assert all(e.result.error.startswith("RuntimeError: xxx") for e in errors)
    assert [outcome.asker for outcome in outcomes if isinstance(outcome, Inferred)] == ["asker 1"]
    assert "batch of 2 clips" in caplog.text


async def test_answers_that_are_known_already_pass_by():
    items = [reply(0), ready(1), reply(2)]
    outcomes = await inferred(Batches(), *items)
    assert [outcome for outcome in outcomes if isinstance(outcome, Reply)] == [items[0], items[2]]
    assert len(outcomes) == 3


@pytest.mark.parametrize(("decode_ms", "queue_ms"), [(100.0, 1900.0), (5000.0, 0.0)])
async def test_waiting_decoding_and_working_are_told_apart_in_milliseconds(decode_ms, queue_ms):
    clock = TickingClock(start_s=12.0, tick_s=0.25)
    (outcome,) = await inferred(Batches(), ready(0, arrived_at=10.0, decode_ms=decode_ms), clock=clock)
    assert outcome.durations_ms == pytest.approx({"queue": queue_ms, "decode": decode_ms, "tail": 250.0})
    assert clock.threads == {"model"}


async def test_clips_that_share_a_batch_get_the_logits_that_they_get_alone(model):
    service = TailService(model)
    packets = [packet_of(model, motion(seq), plan_for(model, 9, "uniform:8")) for seq in range(3)]
    items = [Ready("asker", service.decode(item), 0.0, {"decode": 0.0}) for item in packets]
    for item, outcome in zip(items, await inferred(service, *items), strict=True):
        (alone,) = service.run([item.decoded])
        np.testing.assert_allclose(outcome.output, alone, atol=1e-4)
