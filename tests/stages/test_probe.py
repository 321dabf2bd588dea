import pytest

from pipeline.background import background
from pipeline.clock import ManualClock
from pipeline.errors import LinkLost
from scheduling.situation import Situation
from stages.probe import STEP_S, Probe
from tests.settled import settled


class FakeClient:
    """Answers each probe after `takes_s`, and tells the situation as a client does; notes them all."""

    def __init__(self, clock, situation, takes_s=0.01):
        self.asked = []
        self.connected = True
        self.takes_s = takes_s
        self.lost = False
        self._clock = clock
        self._situation = situation

    async def probe(self, payload_bytes=0):
        self.asked.append((round(self._clock.now(), 3), payload_bytes))
        key = f"probe {len(self.asked)}"
        if payload_bytes:
            self._situation.sent(key, payload_bytes, self._clock.now())
        await self._clock.sleep(self.takes_s)
        if self.lost:
            self._situation.link_down()
            raise LinkLost("gone")
        if payload_bytes:
            self._situation.acknowledged(key, self._clock.now())
        else:
            self._situation.round_trip(self.takes_s, self._clock.now())
        return self.takes_s


class World:
    """A probe at work on a turned clock."""

    def __init__(self, takes_s=0.01):
        self.clock, self.situation = ManualClock(), Situation()
        self.client = FakeClient(self.clock, self.situation, takes_s)
        self.probe = Probe(self.client, self.situation, self.clock)
        self.situation.link_up(0.01, 0.0)

    async def pass_by(self, seconds):
        for _ in range(round(seconds / 0.01)):
            await settled()
            self.clock.advance(0.01)
        await settled()


async def test_a_silent_link_is_probed_once_a_second_with_some_bytes_and_with_none():
    world = World()
    async with background(world.probe.run):
        await world.pass_by(5.0)
    times = [at for at, num_bytes in world.client.asked if num_bytes]
    assert times[0] == pytest.approx(1.0, abs=2 * STEP_S)
    assert len(times) in (4, 5)
    assert [bool(num_bytes) for _, num_bytes in world.client.asked] == [True, False] * len(times)
    assert max(num_bytes for _, num_bytes in world.client.asked) <= world.situation.link.rules.probe_bytes


async def test_nothing_is_probed_while_clips_cross():
    world = World()
    async with background(world.probe.run):
        for seq in range(10):
            world.situation.sent(f"cam/{seq}", 20_000, world.clock.now())
            await world.pass_by(0.3)
            world.situation.acknowledged(f"cam/{seq}", world.clock.now())
            await world.pass_by(0.3)
    assert world.client.asked == []


async def test_a_message_that_is_long_under_way_is_probe_enough():
    world = World()
    world.situation.sent("cam/0", 20_000, 0.0)
    async with background(world.probe.run):
        await world.pass_by(20.0)
        assert world.client.asked == []
        world.situation.acknowledged("cam/0", world.clock.now())
        await world.pass_by(0.2)
    assert world.client.asked[0][0] == pytest.approx(20.0, abs=2 * STEP_S)


async def test_a_probe_that_never_returns_is_not_followed_by_others():
    world = World(takes_s=60.0)
    async with background(world.probe.run):
        await world.pass_by(10.0)
    assert len(world.client.asked) == 1


async def test_a_lost_link_ends_nothing_and_is_probed_again_once_it_is_back():
    world = World()
    async with background(world.probe.run):
        world.client.lost = True
        await world.pass_by(1.5)
        assert len(world.client.asked) == 1
        await world.pass_by(5.0)
        assert len(world.client.asked) == 1
        world.client.lost = False
        world.situation.link_up(0.01, world.clock.now())
        await world.pass_by(1.5)
        assert len(world.client.asked) == 3


async def test_a_client_that_has_lost_its_link_is_left_in_peace():
    world = World()
    world.client.connected = False
    async with background(world.probe.run):
        await world.pass_by(3.0)
    assert world.client.asked == []
