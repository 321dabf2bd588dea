from pipeline.clock import ManualClock
from pipeline.items import SourceBreak
from sources.paced import PacedSource
from tests.stages.frames import ListSource


def paced(count, rate=10.0):
    clock = ManualClock(50.0)
    inner = ListSource("door", count, rate=rate)
    return PacedSource(inner, clock, wait=clock.advance), inner, clock


def test_frames_come_when_their_time_has_come():
    source, _, clock = paced(5)
    arrivals = []
    for frame in source.frames():
        arrivals.append(round(clock.now() - 50.0, 6))
        assert frame.captured_at == clock.now()
    assert arrivals == [0.0, 0.04, 0.08, 0.12, 0.16]


def test_a_reader_that_fell_behind_gets_the_next_frames_at_once():
    source, _, clock = paced(4)
    frames = source.frames()
    next(frames)
    clock.advance(10)
    assert [clock.now() for _ in frames] == [60.0] * 3


def test_it_passes_on_name_rate_and_closing():
    source, inner, _ = paced(3)
    frames = source.frames()
    next(frames)
    assert (source.name, source.rate) == ("door", 10.0)
    source.close()
    assert list(frames) == [SourceBreak("door", "closed", closed=True)]
    assert inner.closed
    assert inner.ended_in is not None
