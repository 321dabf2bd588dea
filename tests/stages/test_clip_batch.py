import pytest

from pipeline.clock import ManualClock
from pipeline.errors import ConfigError
from pipeline.items import Clip, Prediction, SourceBreak, SourceEnd, SourceStart, Status
from pipeline.ledger import Ledger
from sources.clips import ClipSettings
from stages.clip_batch import ClipBatch
from tests.stages.frames import channel_of, make_frame


def captured(source, frames, error=None):
    return [
        SourceStart(source, 25.0),
        *(make_frame(i, source) for i in range(frames)),
        SourceEnd(source, error),
    ]


async def batch(items, done=None, ledger=None, sla_ms=None, **settings):
    ledger = ledger or Ledger()
    stage = ClipBatch(ClipSettings(4, **settings), ledger, ManualClock(500.0), sla_ms, done)
    return [outcome async for outcome in stage.run(await channel_of(*items))], ledger


async def test_frames_become_clips_that_the_ledger_knows():
    outcomes, ledger = await batch(captured("cam", 8))
    assert [clip.clip_id for clip in outcomes] == ["cam/000000", "cam/000001"]
    assert outcomes[1].frames[:, 0, 0, 0].tolist() == [4, 5, 6, 7]
    assert ledger.admitted == ledger.unsettled == 2


async def test_sources_that_are_interleaved_do_not_mix():
    items = [item for pair in zip(captured("a", 4), captured("b", 4), strict=True) for item in pair]
    outcomes, _ = await batch(items)
    assert sorted((clip.source, clip.seq) for clip in outcomes) == [("a", 0), ("b", 0)]


async def test_the_promise_makes_the_deadline():
    (clip,), _ = await batch(captured("cam", 4), sla_ms=250)
    assert clip.ready_at == pytest.approx(100 + 3 / 25)
    assert clip.deadline == pytest.approx(clip.ready_at + 0.25)


async def test_a_source_that_breaks_gives_what_decodes_and_one_failed_record_that_names_it():
    outcomes, ledger = await batch(captured("cam", 6, error="cam.mp4: cannot be decoded"))
    whole, padded, broken = outcomes
    assert isinstance(whole, Clip)
    assert (padded.seq, padded.padded) == (1, 2)
    assert isinstance(broken, Prediction)
    assert (broken.clip_id, broken.status, broken.reason) == (
        "cam/000002",
        Status.FAILED,
        "cam.mp4: cannot be decoded",
    )
    assert ledger.admitted == 3


async def test_a_source_that_never_began_is_one_failed_record():
    outcomes, _ = await batch([SourceEnd("cam", "cam.mp4: no such file")])
    assert [(record.clip_id, record.status) for record in outcomes] == [("cam/000000", Status.FAILED)]


async def test_what_an_earlier_run_did_is_not_done_again():
    everything, _ = await batch(captured("cam", 14, error="breaks"))
    done = {item.clip_id: item.start_s for item in everything}
    for missing in done:
        rest = {clip_id: start_s for clip_id, start_s in done.items() if clip_id != missing}
        outcomes, ledger = await batch(captured("cam", 14, error="breaks"), done=rest)
        assert [item.clip_id for item in outcomes] == [missing]
        assert ledger.admitted == 1
    assert (await batch(captured("cam", 14, error="breaks"), done=done))[0] == []


async def test_resuming_with_other_clips_is_refused():
    first, _ = await batch(captured("cam", 16))
    done = {clip.clip_id: clip.start_s for clip in first}
    with pytest.raises(ConfigError, match="same frames, stride and hop"):
        await batch(captured("cam", 16), done=done, hop=2)


def broken(before, closed=False):
    items = captured("cam", before + 5)
    items.insert(1 + before, SourceBreak("cam", "no frame for 3.0 s", closed))
    return items


async def test_a_break_closes_the_clip_that_has_begun_and_marks_it():
    clips, ledger = await batch(broken(6), sla_ms=250)
    shown = [clip.frames[:, 0, 0, 0].tolist() for clip in clips]
    assert shown == [[0, 1, 2, 3], [4, 5, 5, 5], [6, 7, 8, 9], [10] * 4]
    assert [clip.padded for clip in clips] == [0, 2, 0, 3]
    assert [clip.seq for clip in clips] == [0, 1, 2, 3]
    assert (clips[1].ready_at, clips[1].deadline) == (500.0, 500.25)
    assert ledger.admitted == 4


@pytest.mark.parametrize(("before", "closed", "lost"), [(5, False, 1), (6, True, 2)])
async def test_frames_before_a_break_that_no_clip_shows_are_counted_and_owe_no_record(before, closed, lost):
    ledger = Ledger()
    stage = ClipBatch(ClipSettings(4), ledger, ManualClock(500.0))
    clips = [clip async for clip in stage.run(await channel_of(*broken(before, closed)))]
    assert [clip.frames[0, 0, 0, 0] for clip in clips] == [0, before, before + 4]
    assert stage.discarded == {"cam": lost}
    assert ledger.admitted == 3


async def test_a_source_counts_on_from_where_it_was_told_also_where_it_breaks():
    stage = ClipBatch(ClipSettings(4), Ledger(), ManualClock(500.0), first_seq={"cam": 7, "gone": 3})
    items = [*captured("cam", 8, error="breaks"), *captured("new", 4), SourceEnd("gone", "no such file")]
    outcomes = [outcome async for outcome in stage.run(await channel_of(*items))]
    numbers = ["cam/000007", "cam/000008", "cam/000009", "new/000000", "gone/000003"]
    assert [outcome.clip_id for outcome in outcomes] == numbers
