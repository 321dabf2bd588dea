from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.faults.schedule import (
    CAMERA_KINDS,
    CAMERA_REST_S,
    CLOUD,
    CLOUD_REST_S,
    CUT,
    KILL,
    LINK,
    LINK_REST_S,
    PASSWORD,
    REFUSED_REST_S,
    SINK,
    SINK_KINDS,
    SINK_REST_S,
    STALL,
    Wish,
    camera_name,
    draw,
)
from pipeline.errors import ConfigError

HALF_AN_HOUR = Wish()
seeds = st.integers(0, 2**32)


def by_part(faults):
    return {part: [fault for fault in faults if fault.part == part] for part in {f.part for f in faults}}


@given(seeds)
def test_every_fault_that_was_asked_for_is_there(seed):
    faults = draw(HALF_AN_HOUR, seed)
    kinds = Counter((fault.part, fault.kind) for fault in faults)
    assert (kinds[CLOUD, KILL], kinds[LINK, CUT], kinds[LINK, STALL]) == (50, 50, 50)
    assert sum(kinds[SINK, kind] for kind in SINK_KINDS) == 20
    of_cameras = [fault for fault in faults if fault.part not in (CLOUD, LINK, SINK)]
    assert len(of_cameras) == 100
    assert {fault.kind for fault in of_cameras} == set(CAMERA_KINDS)
    each = Counter(fault.part for fault in of_cameras)
    assert each == {camera_name(index): 25 for index in range(4)}


@given(seeds)
def test_the_warm_up_and_the_end_are_quiet(seed):
    faults = draw(HALF_AN_HOUR, seed)
    assert min(fault.at_s for fault in faults) >= HALF_AN_HOUR.warm_up_s == 90
    assert max(fault.end_s for fault in faults) <= HALF_AN_HOUR.quiet_from_s == 1740


@given(seeds)
def test_a_part_has_time_to_come_back_before_its_next_fault(seed):
    rests = {CLOUD: CLOUD_REST_S, LINK: LINK_REST_S, SINK: SINK_REST_S}
    for part, faults in by_part(draw(HALF_AN_HOUR, seed)).items():
        for fault, after in pairwise(faults):
            rest_s = REFUSED_REST_S if fault.kind == PASSWORD else rests.get(part, CAMERA_REST_S)
            assert after.at_s >= fault.end_s + rest_s - 1e-6


@given(seeds)
def test_faults_of_different_parts_overlap(seed):
    faults = draw(HALF_AN_HOUR, seed)
    assert any(after.at_s < fault.end_s for fault, after in pairwise(faults))


@given(seeds)
def test_a_stall_lasts_one_to_twenty_seconds(seed):
    stalls = [fault.for_s for fault in draw(HALF_AN_HOUR, seed) if fault.kind == STALL]
    assert 1 <= min(stalls) <= max(stalls) <= 20
    assert max(stalls) - min(stalls) > 10


@given(seeds)
def test_the_same_seed_draws_the_same_faults_and_another_seed_others(seed):
    assert draw(HALF_AN_HOUR, seed) == draw(HALF_AN_HOUR, seed) != draw(HALF_AN_HOUR, seed + 1)


def test_faults_come_in_the_order_of_their_time_over_the_whole_run():
    times_s = [fault.at_s for fault in draw(HALF_AN_HOUR, 0)]
    assert times_s == sorted(times_s)
    assert times_s[0] < 150
    assert times_s[-1] > 1600


def test_a_short_run_is_quiet_for_a_share_of_it():
    wish = Wish(minutes=3)
    assert (wish.warm_up_s, wish.quiet_from_s) == (27, 155)


def test_too_many_faults_for_the_time_are_said():
    with pytest.raises(ConfigError, match=r"cloud: 50 faults take \d+ s, and there are 128: choose fewer"):
        draw(Wish(minutes=3, camera_faults=0, cuts=0, stalls=0, outages=0), 0)


def test_no_faults_at_all_are_a_run_too():
    assert draw(Wish(camera_faults=0, kills=0, cuts=0, stalls=0, outages=0), 0) == []
