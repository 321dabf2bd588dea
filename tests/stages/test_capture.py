from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.items import Frame, SourceBreak, SourceEnd, SourceStart
from stages.capture import capture, capture_in_turn
from tests.stages.frames import ListSource


@given(count=st.integers(0, 40), chunk=st.integers(1, 17), error=st.sampled_from([None, "breaks"]))
@settings(max_examples=30, deadline=None)
async def test_every_frame_comes_between_one_start_and_one_end(count, chunk, error):
    source = ListSource("cam", count, error)
    items = [item async for item in capture(source, chunk)]
    start = [SourceStart("cam", 25.0)] if count else []
    assert items[: len(start)] == start
    assert [frame.index for frame in items if isinstance(frame, Frame)] == list(range(count))
    assert items[-1] == SourceEnd("cam", f"cam: {error}" if error else None)
    assert len(items) == len(start) + count + 1


async def test_a_source_is_read_and_ended_in_its_own_thread():
    source = ListSource("cam", 5)
    async with aclosing(capture(source)) as items:
        async for item in items:
            if isinstance(item, Frame):
                break
    assert source.closed
    assert source.threads == {source.ended_in} == {"read cam"}


async def test_a_source_without_a_rate_gets_the_fallback():
    items = [item async for item in capture(ListSource("cam", 1, rate=None))]
    assert items[0] == SourceStart("cam", 25.0)


class Broken(ListSource):
    def frames(self):
        yield from super().frames()
        raise self.bug


@pytest.mark.parametrize("count", [0, 2])
async def test_an_unexpected_error_ends_its_own_source_and_is_told_as_its_end(count):
    Broken.bug = RuntimeError("bug")
    items = [item async for item in capture(Broken("cam", count), 8)]
    assert len([item for item in items if isinstance(item, Frame)]) == count
    assert items[-1] == SourceEnd("cam", "cam: RuntimeError: bug")


async def test_what_ends_the_program_is_no_end_of_a_source():
    Broken.bug = SystemExit(3)
    with pytest.raises(SystemExit):
        [item async for item in capture(Broken("cam", 1))]


async def test_a_break_comes_between_the_frames_that_it_parts():
    class Breaking(ListSource):
        def frames(self):
            for frame in super().frames():
                yield frame
                yield SourceBreak("cam", "cut")

    kinds = [type(item) async for item in capture(Breaking("cam", 2))]
    assert kinds == [SourceStart, Frame, SourceBreak, Frame, SourceBreak, SourceEnd]


async def test_sources_in_turn_are_opened_one_after_the_other_and_a_broken_one_stops_none():
    sources = [ListSource("a", 2), ListSource("b", 1, error="breaks"), ListSource("c", 1)]
    items = [item async for item in capture_in_turn(sources, 8)]
    assert [item.source for item in items] == list("aaaabbbccc")
    assert [item.error for item in items if isinstance(item, SourceEnd)] == [None, "b: breaks", None]
