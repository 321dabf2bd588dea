import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.delivery import Delivery
from pipeline.background import background
from pipeline.clock import ManualClock
from pipeline.energy.shares import EnergyShares
from pipeline.errors import SinkError
from pipeline.items import Prediction, Status
from pipeline.ledger import Ledger
from pipeline.worker import Worker
from tests.commands.link import ListSink
from tests.pipeline.clips import make_clip, make_ok
from tests.settled import settled


class WatchedSink(ListSink):
    """Notes the threads that write to it; refuses clip `full_at`."""

    def __init__(self, full_at=None):
        super().__init__()
        self.threads = set()
        self._full_at = full_at

    def write(self, prediction):
        self.threads.add(threading.current_thread().name)
        if prediction.seq == self._full_at:
            raise SinkError("out.jsonl: no space left")
        super().write(prediction)


async def delivered(predictions, sinks, clips, **options):
    """Admit `clips`, then deliver `predictions`; returns the ledger."""
    ledger = Ledger()
    for clip in clips:
        ledger.admit(clip)
    with Worker("sinks") as worker:
        delivery = Delivery(
            ledger, sinks, worker=worker, clock=ManualClock(3.0), model_id="vit@1f2e", **options
        )
        for prediction in predictions:
            await delivery(prediction)
    return ledger


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from("ab"), max_size=10).flatmap(
        lambda sources: st.tuples(st.just(sources), st.permutations(range(len(sources))))
    )
)
async def test_every_sink_gets_each_clips_one_record_in_order_per_source(drawn):
    sources, order = drawn
    clips = [make_clip(sources[:i].count(source), source) for i, source in enumerate(sources)]
    sinks, told = [ListSink(), ListSink()], []
    twice = [make_ok(clips[i]) for i in order for _ in range(2)]
    ledger = await delivered(twice, sinks, clips, on_record=told.append)
    assert ledger.balanced
    assert sinks[0].records == sinks[1].records == told
    for source in "ab":
        assert [r.seq for r in told if r.source == source] == list(range(sources.count(source)))


async def test_a_record_says_when_it_was_handed_over_and_by_which_model_even_if_it_failed():
    sink, clip = ListSink(), make_clip(ready_at=2.5)
    await delivered([Prediction.of(clip, Status.FAILED, reason="bad")], [sink], [clip])
    (record,) = sink.records
    assert (record.status, record.reason, record.model) == (Status.FAILED, "bad", "vit@1f2e")
    assert record.latency_ms == {"total": 500.0}


async def test_sinks_write_on_their_own_thread():
    sink, clip = WatchedSink(), make_clip()
    await delivered([make_ok(clip)], [sink], [clip])
    assert sink.threads == {"sinks"}


async def test_a_share_of_the_energy_is_in_what_is_written_and_told_and_is_read_on_the_sinks_thread():
    joules, threads = iter([10.0, 12.5, 13.0]), []

    def read():
        threads.append(threading.current_thread().name)
        return next(joules)

    shares, sink, told = EnergyShares(read), ListSink(), []
    shares.begin()
    clips = [make_clip(seq) for seq in range(2)]
    await delivered(map(make_ok, clips), [sink], clips, shares=shares, on_record=told.append)
    assert [record.energy_j for record in told] == [2.5, 0.5]
    assert sink.records == told
    assert threads[1:] == ["sinks", "sinks"]


async def test_a_share_is_told_where_nothing_is_written():
    clip, told = make_clip(), []
    shares = EnergyShares(iter([1.0, 3.0]).__next__)
    shares.begin()
    await delivered([make_ok(clip)], [], [clip], shares=shares, on_record=told.append)
    assert [record.energy_j for record in told] == [2.0]


async def test_who_follows_the_run_hears_of_a_record_only_once_it_is_written():
    sink, clip, written_before = ListSink(), make_clip(), []
    await delivered(
        [make_ok(clip)], [sink], [clip], on_record=lambda r: written_before.append(r in sink.records)
    )
    assert written_before == [True]


async def test_a_sink_that_cannot_write_ends_it_and_the_record_does_not_count_as_told():
    clips, told = [make_clip(seq) for seq in range(3)], []
    with pytest.raises(SinkError, match="no space left"):
        await delivered(map(make_ok, clips), [WatchedSink(full_at=1)], clips, on_record=told.append)
    assert [record.seq for record in told] == [0]


async def test_a_sink_that_cannot_write_keeps_no_record_from_the_others():
    clip, other = make_clip(), ListSink()
    with pytest.raises(SinkError, match="no space left"):
        await delivered([make_ok(clip)], [WatchedSink(full_at=0), other], [clip])
    assert [record.clip_id for record in other.records] == [clip.clip_id]


async def test_what_waits_for_a_late_clip_is_handed_over_at_that_clips_deadline():
    ledger, clock, sink = Ledger(sla_ms=500.0), ManualClock(), ListSink()
    clips = [make_clip(0, deadline=1.0), make_clip(1, deadline=2.0), make_clip(2, deadline=3.0)]
    for clip in clips:
        ledger.admit(clip)
    with Worker("sinks") as worker:
        delivery = Delivery(ledger, [sink], worker=worker, clock=clock, model_id="vit@1f2e")

        async def turn(seconds):
            clock.advance(seconds)
            for _ in range(3):
                await settled()
                await worker.run(lambda: None)

        async with background(delivery.overdue):
            await delivery(make_ok(clips[1]))
            await turn(1.0)
            assert sink.records == []
            await turn(0.001)
            assert [(r.seq, r.status) for r in sink.records] == [(1, Status.OK)]
            await delivery(make_ok(clips[2]))
            await delivery(make_ok(clips[0]))
            await turn(0.0)
    assert [(r.seq, r.status) for r in sink.records[1:]] == [(2, Status.OK), (0, Status.LATE)]
    assert ledger.balanced
