import pytest

from commands.meeting import meet
from pipeline.errors import HandshakeRefused, LinkLost
from tests.commands.peers import wires_to_peers
from tests.commands.test_peer import seeker
from tests.stages.parts import part_of
from tests.transport.world import TurnedClock


async def nobody():
    raise LinkLost("yard:2: cannot connect")


async def test_every_peer_that_answers_says_who_it_is_and_the_others_are_said(capfd):
    async with wires_to_peers(part_of(1), part_of(0)) as (first, second):
        dials = {"yard:1": first.dial, "yard:2": nobody, "yard:3": second.dial}
        met = await meet(dials, seeker(), TurnedClock(), connect_s=5)
    assert {name: welcome.digest for name, welcome in met.items()} == {
        "yard:1": part_of(1).digest,
        "yard:3": part_of(0).digest,
    }
    assert "yard:2: cannot connect; going on without its part" in capfd.readouterr().err


async def test_one_peer_that_does_not_fit_ends_it_whatever_the_others_are():
    async with wires_to_peers(part_of(1), part_of(5)) as (first, second):
        with pytest.raises(HandshakeRefused, match=f"serves part {part_of(5).digest[:8]}"):
            await meet({"a": first.dial, "b": second.dial}, seeker(), TurnedClock(), connect_s=5)


async def test_where_none_answers_all_are_asked_again_until_time_is_up(capfd):
    clock = TurnedClock()
    with pytest.raises(LinkLost, match=r"none of the 2 peers answers: yard:2: cannot connect"):
        await meet({"a": nobody, "b": nobody}, seeker(), clock, connect_s=5)
    assert 2 < clock.now() <= 5
    assert capfd.readouterr().err.count("waiting for the first peer") == 1


async def test_the_first_that_comes_ends_the_waiting():
    async with wires_to_peers(part_of(1)) as (wire,):
        asked = []

        async def late():
            asked.append(1)
            return await (wire.dial() if len(asked) > 4 else nobody())

        met = await meet({"a": late}, seeker(), TurnedClock(), connect_s=3600)
    assert list(met) == ["a"]


async def test_a_device_that_holds_a_part_itself_waits_for_nobody():
    clock = TurnedClock()
    assert await meet({"a": nobody}, seeker(), clock, connect_s=5, needed=False) == {}
    assert clock.slept == []
