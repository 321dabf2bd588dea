import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from pipeline.energy.integral import Integral
from pipeline.energy.meter import EnergyMeter
from pipeline.energy.shares import EnergyShares
from pipeline.ledger import Ledger
from tests.pipeline.clips import make_clip, make_ok
from tests.pipeline.energy.machine import Turned

SECONDS = st.floats(0.0, 5.0)
ENDS = st.lists(st.sampled_from("ab"), min_size=1, max_size=12).flatmap(
    lambda sources: st.tuples(
        st.just(sources),
        st.permutations(range(len(sources))),
        st.lists(SECONDS, min_size=len(sources), max_size=len(sources)),
    )
)


@given(ENDS, SECONDS, st.floats(0.5, 50.0), st.floats(0.0, 5.0))
def test_in_whatever_order_clips_end_their_shares_are_what_the_machine_took(drawn, idle_s, watts, rise):
    sources, order, steps = drawn
    clock = ManualClock()
    meter = EnergyMeter([Integral("VDD_IN", lambda: watts + rise * clock.now(), clock)])
    shares, ledger = EnergyShares(meter.joules), Ledger()
    clips = [make_clip(sources[:i].count(source), source) for i, source in enumerate(sources)]
    clock.advance(idle_s)
    before = meter.joules()
    shares.begin()
    for clip in clips:
        ledger.admit(clip)
    records = []
    for index, step in zip(order, steps, strict=True):
        clock.advance(step)
        if released := ledger.settle(make_ok(clips[index]), clock.now()):
            together = shares.share(released)
            assert len({record.energy_j for record in together}) == 1
            records += together
    assert ledger.balanced
    assert all(record.energy_j >= 0 for record in records)
    assert sum(record.energy_j for record in records) == pytest.approx(meter.joules() - before, abs=1e-6)


def record(seq=0):
    return make_ok(make_clip(seq))


def energies(shares, number=1):
    return [shared.energy_j for shared in shares.share([record(seq) for seq in range(number)])]


def test_clips_that_end_together_share_evenly_and_the_rest_of_a_record_stays_as_it_is():
    source = Turned()
    shares = EnergyShares(EnergyMeter([source]).joules)
    source.value = 100.0
    shares.begin()
    source.value = 106.0
    assert energies(shares, 3) == [2.0, 2.0, 2.0]
    source.value = 107.0
    (shared,) = shares.share([record(9)])
    assert (shared.clip_id, shared.energy_j) == (record(9).clip_id, 1.0)


def test_while_the_machine_shows_nothing_a_record_has_none_and_the_next_has_its_share_too():
    source = Turned()
    shares = EnergyShares(EnergyMeter([source]).joules)
    shares.begin()
    source.value = None
    assert energies(shares) == [None]
    source.value = 8.0
    assert energies(shares) == [8.0]


def test_where_it_is_not_known_what_was_taken_at_the_beginning_none_is_given_out_before_it_is():
    source = Turned(joules=None)
    shares = EnergyShares(EnergyMeter([source]).joules)
    shares.begin()
    source.value = 40.0
    assert energies(shares) == [None]
    source.value = 41.5
    assert energies(shares) == [1.5]
