from dataclasses import replace

import pytest

from commands.operations.device_counts import DROPS, FAILURES, DeviceCounts
from pipeline.items import Plan, Pruning, Ran, Status
from tests.pipeline.clips import make_clip, make_ok
from tests.sinks.samples import DOCUMENTED

BARE = make_ok(make_clip())


def record(status, reason=None, **rest):
    return replace(BARE, status=status, reason=reason, **rest)


def counted(*records, sources=()):
    counts = DeviceCounts(sources)
    for each in records:
        counts.add(each)
    return counts


def test_a_record_is_counted_by_how_it_ended_where_it_ran_and_what_its_plan_was():
    counts = counted(replace(DOCUMENTED, sent_bytes=700), DOCUMENTED)
    assert counts.clips["ok", "split"] == counts.by_source["abseiling", "ok"] == 2
    assert (counts.prunings["exponential:0.05",], counts.splits["4",], counts.codecs["int8+zstd",]) == (
        2,
        2,
        2,
    )
    assert counts.sent_bytes == 700
    assert counts.latency_s["total"].sum == pytest.approx(0.4028)
    assert counts.latency_s["rescue"].count == 0


def test_clips_of_peers_are_counted_with_what_gathering_and_fusing_took():
    parts = {"wait": 1.0, "encode": 1.0, "gather": 40.0, "fuse": 2.0, "total": 45.0}
    counts = counted(
        record(Status.OK, ran=Ran.PEERS, latency_ms=parts),
        record(Status.FAILED, "peers: no part answered: part 1 not connected", ran=Ran.PEERS),
    )
    assert counts.clips["ok", "peers"] == counts.failures["peers",] == 1
    assert counts.latency_s["gather"].sum == pytest.approx(0.04)
    assert counts.latency_s["fuse"].sum == pytest.approx(0.002)


def test_clips_without_an_answer_have_no_latency():
    counts = counted(
        record(Status.DROPPED, latency_ms={"total": 9.0}), record(Status.FAILED, latency_ms={"wait": 1})
    )
    assert {part: histogram.count for part, histogram in counts.latency_s.items() if histogram.count} == {}
    assert counts.clips["dropped", "none"] == counts.clips["failed", "none"] == 1


def test_a_promise_is_broken_by_whatever_is_not_there_in_time():
    kept = [
        record(Status.OK),
        record(Status.LATE),
        record(Status.DROPPED),
        record(Status.FAILED, "cloud: no"),
    ]
    assert counted(*kept).violations == 0
    assert counted(*(replace(each, sla_ms=300) for each in kept)).violations == 3
    assert counted(record(Status.FAILED, "cam: gone", sla_ms=300)).violations == 0


def test_rescues_are_counted():
    counts = counted(
        record(Status.OK, ran=Ran.RESCUE), record(Status.LATE, ran=Ran.RESCUE), record(Status.OK)
    )
    assert counts.rescues == 2
    assert counts.clips["late", "rescue"] == 1


@pytest.mark.parametrize(
    ("reason", "label"),
    [("overload: newer clips were waiting for the model", "overload"), ("tired", "other"), (None, "other")],
)
def test_drops_have_one_of_few_reasons(reason, label):
    counts = counted(record(Status.DROPPED, reason))
    assert {key for (key,), count in counts.drops if count} == {label}
    assert {key for (key,), _ in counts.drops} == set(DROPS)


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        ("cloud: RuntimeError: out of memory", "cloud"),
        ("cam: cannot be opened", "source"),
        ("the run was ended before this clip was", "ended"),
        ("RuntimeError: rtsp://me:hidden@host", "other"),
        (None, "other"),
    ],
)
def test_failures_have_one_of_few_reasons(reason, label):
    counts = counted(record(Status.FAILED, reason))
    assert {key for (key,), count in counts.failures if count} == {label}
    assert {key for (key,), _ in counts.failures} == set(FAILURES)


def test_a_run_that_never_ends_does_not_grow():
    counts = DeviceCounts()
    for number in range(3000):
        plan = Plan(Pruning("uniform", number, ()), number, f"jpeg:{number}")
        counts.add(record(Status.OK, f"reason {number}", plan=plan, source=f"cam {number}"))
    sizes = [len(list(tally)) for tally in (counts.prunings, counts.splits, counts.codecs, counts.by_source)]
    assert max(sizes) <= 1025
