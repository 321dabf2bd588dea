from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.items import Prediction, Status
from pipeline.ledger import Ledger
from tests.pipeline.clips import make_clip, make_ok


@given(
    st.lists(st.sampled_from("abc"), max_size=30).flatmap(
        lambda sources: st.tuples(st.just(sources), st.permutations(range(len(sources))))
    ),
)
def test_every_admitted_clip_leaves_once_and_in_order_whatever_the_order_of_results(drawn):
    sources, order = drawn
    ledger = Ledger()
    clips = [make_clip(sources[:i].count(source), source) for i, source in enumerate(sources)]
    for clip in clips:
        ledger.admit(clip)
    released = []
    for position in order:
        released += ledger.settle(make_ok(clips[position]), now=1.0)
        assert ledger.settle(make_ok(clips[position]), now=2.0) == []
    assert sorted(p.clip_id for p in released) == sorted(clip.clip_id for clip in clips)
    for source in set(sources):
        seqs = [p.seq for p in released if p.source == source]
        assert seqs == sorted(seqs)
    assert ledger.balanced
    assert ledger.unsettled == 0


def test_the_first_record_wins_and_strangers_are_ignored():
    ledger = Ledger()
    clip = make_clip()
    ledger.admit(clip)
    assert [p.status for p in ledger.settle(make_ok(clip), 1.0)] == [Status.OK]
    assert ledger.settle(Prediction.of(clip, Status.FAILED, reason="too late"), 1.0) == []
    assert ledger.settle(make_ok(make_clip(7)), 1.0) == []
    assert ledger.counts == {Status.OK: 1}


def test_a_record_waits_for_its_elders_of_the_same_source_only():
    ledger = Ledger()
    first, second, other = make_clip(0), make_clip(1), make_clip(0, "door")
    for clip in (first, second, other):
        ledger.admit(clip)
    assert ledger.settle(make_ok(second), 1.0) == []
    assert [p.clip_id for p in ledger.settle(make_ok(other), 1.0)] == ["door/000000"]
    assert not ledger.balanced
    assert [p.seq for p in ledger.settle(make_ok(first), 1.0)] == [0, 1]
    assert ledger.balanced


def test_what_is_unfinished_can_be_failed_with_a_reason_and_then_nothing_is_owed():
    ledger = Ledger()
    clips = [make_clip(seq) for seq in range(4)]
    for clip in clips:
        ledger.admit(clip)
    broken = Prediction("door/000000", "door", 0, Status.FAILED, reason="door.mp4: broken")
    ledger.admit_record(broken, now=1.0)
    released = [*ledger.settle(make_ok(clips[2]), 1.0), *ledger.settle(make_ok(clips[0]), 1.0)]
    for record in ledger.unfinished("the link is gone"):
        released += ledger.settle(record, 2.0)
    assert [(r.seq, r.status, r.reason) for r in released if r.source != "door"] == [
        (0, Status.OK, None),
        (1, Status.FAILED, "the link is gone"),
        (2, Status.OK, None),
        (3, Status.FAILED, "the link is gone"),
    ]
    assert [r.reason for r in released if r.source == "door"] == ["door.mp4: broken"]
    assert ledger.balanced
    assert ledger.unfinished("again") == []


def test_latency_runs_from_the_last_frame_to_the_release():
    ledger = Ledger(sla_ms=300)
    in_time, late = make_clip(0, ready_at=10.0, deadline=10.3), make_clip(1, ready_at=11.0, deadline=11.3)
    ledger.admit(in_time)
    ledger.admit(late)
    (first,) = ledger.settle(make_ok(in_time), now=10.2)
    (second,) = ledger.settle(make_ok(late), now=11.4)
    assert first.latency_ms["total"] == pytest.approx(200)
    assert (first.status, first.reason) == (Status.OK, None)
    assert (second.status, second.reason) == (Status.LATE, "400 ms, promised 300 ms")
    assert ledger.counts == {Status.OK: 1, Status.LATE: 1}


def test_a_clip_that_restarts_counts_from_its_new_start_to_its_new_deadline():
    ledger = Ledger(sla_ms=300)
    clips = [make_clip(seq, ready_at=1.0, deadline=1.3) for seq in range(3)]
    for clip in clips:
        ledger.admit(clip)
    for clip in clips[:2]:
        ledger.restart(replace(clip, ready_at=50.0, deadline=50.3))
    (in_time,) = ledger.settle(make_ok(clips[0]), now=50.2)
    (late,) = ledger.settle(make_ok(clips[1]), now=50.4)
    (never_restarted,) = ledger.settle(make_ok(clips[2]), now=50.4)
    assert (in_time.status, in_time.latency_ms["total"]) == (Status.OK, pytest.approx(200))
    assert (late.status, late.reason) == (Status.LATE, "400 ms, promised 300 ms")
    assert never_restarted.latency_ms["total"] == pytest.approx(49_400)
    assert ledger.balanced


def test_only_a_clip_that_is_owed_a_record_can_restart():
    ledger = Ledger()
    ledger.admit(make_clip())
    ledger.settle(make_ok(make_clip()), now=1.0)
    for clip in (make_clip(), make_clip(7)):
        with pytest.raises(KeyError, match=clip.clip_id):
            ledger.restart(clip)


def test_a_failed_clip_is_failed_and_not_late():
    ledger = Ledger(sla_ms=1)
    clip = make_clip(deadline=0.001)
    ledger.admit(clip)
    (record,) = ledger.settle(Prediction.of(clip, Status.FAILED, reason="broken"), now=5.0)
    assert (record.status, record.reason) == (Status.FAILED, "broken")


def test_admitting_a_clip_twice_is_a_bug_that_shows():
    ledger = Ledger()
    ledger.admit(make_clip())
    with pytest.raises(ValueError, match="twice"):
        ledger.admit(make_clip())


def test_a_record_without_a_clip_takes_its_turn_behind_the_clips():
    ledger = Ledger(sla_ms=100)
    clip = make_clip(0)
    broken = Prediction("cam/000001", "cam", 1, Status.FAILED, reason="cam.mp4: cannot be decoded")
    ledger.admit(clip)
    ledger.admit_record(broken, now=3.0)
    assert ledger.settle(broken, now=3.0) == []
    assert [p.status for p in ledger.settle(make_ok(clip), now=4.0)] == [Status.OK, Status.FAILED]
    assert ledger.balanced


def test_a_clip_that_misses_its_deadline_loses_its_turn_and_no_other_is_late_because_of_it():
    ledger = Ledger(sla_ms=500.0)
    slow, quick, last = (make_clip(seq, ready_at=seq, deadline=seq + 0.5) for seq in range(3))
    for clip in (slow, quick, last):
        ledger.admit(clip)
    assert ledger.next_overdue() == float("inf")
    assert ledger.settle(make_ok(last), 0.4) == []
    assert ledger.next_overdue() == 0.5
    assert ledger.overdue(0.5) == []
    assert ledger.overdue(0.51) == []
    assert ledger.next_overdue() == 1.5
    assert [(p.seq, p.status) for p in ledger.settle(make_ok(quick), 0.6)] == [(1, Status.OK), (2, Status.OK)]
    assert ledger.unsettled == 1
    assert [(p.seq, p.status) for p in ledger.settle(make_ok(slow), 0.7)] == [(0, Status.LATE)]
    assert ledger.settle(make_ok(slow), 0.8) == []
    assert ledger.balanced


def test_who_waited_for_a_late_clip_is_overdue_at_its_deadline():
    ledger = Ledger(sla_ms=500.0)
    clips = [make_clip(0, deadline=1.0), make_clip(1, deadline=2.0), make_clip(0, "door", deadline=9.0)]
    for clip in clips:
        ledger.admit(clip)
    assert ledger.settle(make_ok(clips[1]), 0.5) == []
    assert [p.seq for p in ledger.overdue(1.01)] == [1]
    assert ledger.next_overdue() == float("inf")
    assert [p.clip_id for p in ledger.settle(make_ok(clips[2]), 1.2)] == ["door/000000"]
    assert [p.status for p in ledger.unfinished("ended")] == [Status.FAILED]


@given(
    st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=1, max_size=12),
    st.lists(st.floats(0, 12), max_size=12),
)
def test_with_deadlines_each_clip_leaves_once_and_those_in_time_in_order(times, looks):
    ledger, released = Ledger(sla_ms=1.0), []
    deadlines = sorted(deadline for deadline, _ in times)
    clips = [make_clip(seq, deadline=deadline) for seq, deadline in enumerate(deadlines)]
    for clip in clips:
        ledger.admit(clip)
    events = [(at, clip) for (_, at), clip in zip(times, clips, strict=True)] + [(at, None) for at in looks]
    for at, clip in sorted(events, key=lambda event: event[0]):
        due = ledger.next_overdue()
        found = ledger.overdue(at) if clip is None else ledger.settle(make_ok(clip), at)
        assert clip is not None or not found or due < at
        released += found
    released += ledger.overdue(100.0)
    assert sorted(p.seq for p in released) == list(range(len(clips)))
    in_time = [p.seq for p in released if p.status is Status.OK]
    assert in_time == sorted(in_time)
    assert ledger.balanced
