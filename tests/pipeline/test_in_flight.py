import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.in_flight import InFlight
from tests.settled import settled

CLIPS = 30


class Crowd:
    """Clips that want in; tells who is inside."""

    def __init__(self, most, tasks):
        self.inside = set()
        self._in_flight = InFlight(most)
        self._tasks = tasks

    async def arrive(self, *clips):
        for clip in clips:
            self._tasks.start_soon(self._enter, clip)
        await settled()

    async def leave(self, clip):
        self._in_flight.leave(clip)
        self.inside.discard(clip)
        await settled()

    async def _enter(self, clip):
        await self._in_flight.enter(clip)
        self.inside.add(clip)


@settings(max_examples=40, deadline=None)
@given(most=st.integers(1, 4), leaves=st.lists(st.integers(0, CLIPS), max_size=CLIPS - 4))
async def test_as_many_are_inside_as_may_be_and_never_more(most, leaves):
    async with anyio.create_task_group() as tasks:
        crowd = Crowd(most, tasks)
        await crowd.arrive(*map(str, range(CLIPS)))
        for clip in leaves:  # some wait still, some have left, one never came
            await crowd.leave(str(clip))
            assert len(crowd.inside) == most
        tasks.cancel_scope.cancel()


async def test_who_never_entered_or_has_left_before_makes_no_room():
    async with anyio.create_task_group() as tasks:
        crowd = Crowd(1, tasks)
        await crowd.arrive("a", "b", "c")
        await crowd.leave("stranger")
        assert crowd.inside == {"a"}
        await crowd.leave("a")
        await crowd.leave("a")
        assert crowd.inside == {"b"}
        tasks.cancel_scope.cancel()


async def test_without_a_bound_everybody_enters():
    async with anyio.create_task_group() as tasks:
        crowd = Crowd(None, tasks)
        await crowd.arrive(*map(str, range(CLIPS)))
        assert len(crowd.inside) == CLIPS
        await crowd.leave("3")
