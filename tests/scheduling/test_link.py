import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from pipeline.items import Moment
from scheduling.bandwidth import HarmonicMean
from scheduling.link import SMALL_BYTES, LinkRules, LinkTracker
from scheduling.policies import Choice, Codecs, make_policy
from tests.scheduling.machines import LAST, make_cloud, make_device

RTT_S = 0.04
SIZES = st.integers(SMALL_BYTES + 1, 2_000_000)
RATES = st.floats(0.5, 500)
KEYS = st.sampled_from(["a", "b", "c"])


def connected(rules=None):
    """A tracker that knows a round trip of 40 ms, at time 0."""
    tracker = LinkTracker(rules)
    tracker.link_up(RTT_S, 0.0)
    return tracker


def seconds_for(num_bytes, mbps):
    return num_bytes * 8 / (mbps * 1e6)


def cross(tracker, num_bytes, mbps, at, key="clip"):
    """One message by itself at `mbps`; when its acknowledgement comes."""
    tracker.sent(key, num_bytes, at)
    heard = at + seconds_for(num_bytes, mbps) + RTT_S
    tracker.acknowledged(key, heard)
    return heard


def test_before_anything_crossed_the_link_the_prior_is_the_estimate():
    estimate = LinkTracker(LinkRules(prior_mbps=7.0, prior_rtt_ms=55.0)).estimate(3.0)
    assert (estimate.mbps, estimate.rtt_ms, estimate.age_s) == (7.0, 55.0, None)


@given(st.lists(st.tuples(st.floats(0.05, 0.9), RATES), min_size=1, max_size=5))
def test_the_estimate_is_the_harmonic_mean_with_the_round_trip_taken_off(messages):
    tracker, mean, now = connected(LinkRules(memory_s=math.inf)), HarmonicMean(5), 1.0
    for seconds, mbps in messages:
        num_bytes = round(seconds * mbps * 1e6 / 8)
        now = cross(tracker, num_bytes, mbps, now) + 0.1
        mean.add(num_bytes, seconds_for(num_bytes, mbps))
    assert tracker.estimate(now).mbps == pytest.approx(mean.mbps, rel=1e-6)
    assert tracker.estimate(now).rtt_ms == pytest.approx(40)


@given(st.lists(SIZES, min_size=1, max_size=5), RATES)
def test_messages_that_leave_together_are_timed_one_after_the_other(sizes, mbps):
    tracker = connected(LinkRules(memory_s=math.inf))
    for number, num_bytes in enumerate(sizes):
        tracker.sent(str(number), num_bytes, 1.0)
    heard = 1.0 + RTT_S
    for number, num_bytes in enumerate(sizes):
        heard += seconds_for(num_bytes, mbps)
        upload_ms = tracker.acknowledged(str(number), heard)
        wanted_s = seconds_for(num_bytes, mbps) + (RTT_S if number == 0 else 0)
        assert upload_ms == pytest.approx(wanted_s * 1000)


def test_what_was_heard_between_two_messages_marks_where_the_second_begins():
    tracker = connected()
    tracker.sent("first", 100_000, 1.0)
    tracker.sent("second", 100_000, 1.2)
    tracker.sent("late", 100_000, 5.0)
    assert tracker.acknowledged("first", 1.5) == pytest.approx(500)
    assert tracker.acknowledged("second", 1.9) == pytest.approx(400)
    assert tracker.acknowledged("late", 5.3) == pytest.approx(300)
    assert tracker.acknowledged("late", 5.4) is None
    assert tracker.acknowledged("never sent", 5.4) is None


def test_small_messages_teach_the_round_trip_alone():
    tracker = connected()
    for number in range(9):
        tracker.sent("small", SMALL_BYTES, number)
        tracker.acknowledged("small", number + 0.1)
    estimate = tracker.estimate(9.0)
    assert (estimate.rtt_ms, estimate.age_s) == (pytest.approx(100), None)
    assert estimate.mbps == LinkRules().prior_mbps


def test_one_slow_round_trip_among_many_changes_nothing():
    tracker = connected()
    for seconds in (0.04, 0.9, 0.04, 0.04):
        tracker.round_trip(seconds, 1.0)
    assert tracker.estimate(1.0).rtt_ms == 40


@given(SIZES, st.floats(0.05, 100))
def test_a_message_that_is_stuck_bounds_the_estimate_ever_lower(num_bytes, waited_s):
    tracker = connected()
    now = cross(tracker, 1_000_000, 50.0, 1.0)
    before = tracker.estimate(now).mbps
    tracker.sent("stuck", num_bytes, now)
    estimate = tracker.estimate(now + waited_s)
    possible = num_bytes * 8e-6 / (waited_s - RTT_S)
    assert estimate.mbps == pytest.approx(min(before, possible))
    assert 0 < tracker.estimate(now + 2 * waited_s).mbps <= estimate.mbps


def test_a_message_that_has_only_just_left_bounds_nothing():
    tracker = connected()
    now = cross(tracker, 1_000_000, 50.0, 1.0)
    tracker.sent("clip", 1_000_000, now)
    assert tracker.estimate(now + RTT_S).mbps == pytest.approx(50)


def test_late_observations_count_and_old_ones_do_not_but_the_newest_for_ever():
    tracker = connected(LinkRules(memory_s=3.0))
    cross(tracker, 100_000, 10.0, 1.0)
    now = cross(tracker, 100_000, 40.0, 3.0)
    assert tracker.estimate(now).mbps == pytest.approx(16)
    assert tracker.estimate(now + 1.5).mbps == pytest.approx(40)
    old = tracker.estimate(now + 1000)
    assert old.mbps == pytest.approx(40)
    assert old.age_s == pytest.approx(1000)


def test_a_probe_is_due_after_silence_and_never_while_something_is_under_way():
    tracker = connected(LinkRules(silence_s=1.0))
    assert tracker.probe_due(0.5) is None
    assert tracker.probe_due(1.0) is not None
    tracker.sent("clip", 100_000, 1.0)
    assert tracker.probe_due(60.0) is None
    tracker.acknowledged("clip", 1.5)
    assert tracker.probe_due(2.4) is None
    assert tracker.probe_due(2.6) is not None


@pytest.mark.parametrize(("mbps", "num_bytes"), [(0.2, 4096), (8.0, 25_000), (500.0, 32 * 1024)])
def test_a_probe_is_as_large_as_what_crosses_the_link_in_25_ms_within_bounds(mbps, num_bytes):
    tracker = connected()
    now = cross(tracker, 4_000_000, mbps, 1.0)
    assert tracker.probe_due(now + 1.5) == pytest.approx(num_bytes, abs=1)


def test_after_a_stall_one_probe_is_enough():
    tracker = connected()
    now = cross(tracker, 500_000, 50.0, 1.0)
    tracker.sent("stuck", 500_000, now)
    now += 60.0
    tracker.acknowledged("stuck", now)
    assert tracker.estimate(now).mbps < 0.1
    # What was stuck says nothing of a link that moves again: there is no waiting for silence.
    probe_bytes = tracker.probe_due(now)
    assert probe_bytes == LinkRules().least_probe_bytes
    now = cross(tracker, probe_bytes, 50.0, now, key="probe")
    assert tracker.estimate(now).mbps > 5
    assert tracker.probe_due(now) is None


def test_a_link_that_is_lost_has_nothing_under_way_and_wants_no_probes():
    tracker = connected()
    tracker.sent("clip", 1_000_000, 1.0)
    tracker.link_down()
    estimate = tracker.estimate(50.0)
    assert not estimate.connected and estimate.mbps == LinkRules().prior_mbps
    assert tracker.probe_due(50.0) is None
    assert tracker.acknowledged("clip", 51.0) is None
    tracker.link_up(0.08, 52.0)
    assert tracker.estimate(52.0).connected
    assert tracker.probe_due(52.5) is None and tracker.probe_due(53.0) is not None


def test_after_a_lost_link_no_message_is_timed_from_before_it():
    tracker = connected()
    now = cross(tracker, 100_000, 10.0, 1.0)
    tracker.link_down()
    tracker.link_up(RTT_S, now)
    tracker.sent("clip", 100_000, now - 0.2)
    assert tracker.acknowledged("clip", now + 0.1) == pytest.approx(300)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["sent", "acknowledged", "round_trip", "link_up", "link_down"]),
        KEYS,
        st.integers(0, 5_000_000),
        st.floats(0, 100),
    ),
    max_size=40,
)


@given(EVENTS)
def test_whatever_is_heard_in_whatever_order_the_estimate_is_a_bandwidth(events):
    tracker, now = LinkTracker(), 5.0
    for name, key, num_bytes, seconds in events:
        now += seconds
        match name:
            case "sent":
                tracker.sent(key, num_bytes, now)
            case "acknowledged":
                tracker.acknowledged(key, now)
            case "link_down":
                tracker.link_down()
            case _:
                getattr(tracker, name)(seconds, now)
        estimate = tracker.estimate(now)
        assert 0 < estimate.mbps < math.inf and 0 <= estimate.rtt_ms < math.inf
        assert estimate.age_s is None or estimate.age_s >= 0
        probe_bytes = tracker.probe_due(now)
        assert probe_bytes is None or 4096 <= probe_bytes <= 32 * 1024


class Device:
    """What the device decides each 100 ms, over a link that carries one message after the other."""

    def __init__(self, mbps=40.0):
        codecs = Codecs(("int8",), ("jpeg:90",))
        self.policy = make_policy("janus+", Choice(make_device(), make_cloud(), codecs))
        self.clock = ManualClock(1.0)
        self.mbps = mbps
        self.tracker = connected()
        self.left_bytes = {}
        self.heard = []

    def runs(self, steps):
        """Where the clips of the next `steps` ran: "cloud" if any part of one did."""
        return ["device" if self._step() == LAST else "cloud" for _ in range(steps)]

    def _step(self):
        now = self.clock.now()
        while self.heard and self.heard[0][0] <= now:
            at, key = self.heard.pop(0)
            self.tracker.acknowledged(key, at)
        probe_bytes = self.tracker.probe_due(now)
        if probe_bytes is not None:
            self._send(f"probe {now}", probe_bytes)
        link = self.tracker.estimate(now)
        plan = self.policy.choose(Moment(300.0, link.mbps, link.rtt_ms, connected=link.connected))
        if plan.split != LAST:
            self._send(f"clip {now}", round(plan.expected_bytes))
        self._carry(0.1)
        return plan.split

    def _send(self, key, num_bytes):
        self.left_bytes[key] = num_bytes
        self.tracker.sent(key, num_bytes, self.clock.now())

    def _carry(self, seconds):
        spent_s = 0.0
        while self.left_bytes and self.mbps > 0 and spent_s < seconds:
            key, num_bytes = next(iter(self.left_bytes.items()))
            wanted_s = seconds_for(num_bytes, self.mbps)
            if spent_s + wanted_s > seconds:
                self.left_bytes[key] -= (seconds - spent_s) * self.mbps * 1e6 / 8
                break
            spent_s += wanted_s
            del self.left_bytes[key]
            self.heard.append((self.clock.now() + spent_s + RTT_S, key))
        self.clock.advance(seconds)


def test_after_a_minute_on_its_own_the_device_asks_the_cloud_again_within_3_s_of_the_links_return():
    device = Device()
    assert set(device.runs(50)) == {"cloud"}
    device.mbps = 0.0
    assert set(device.runs(600)[10:]) == {"device"}
    device.mbps = 40.0
    again = device.runs(30)
    assert "cloud" in again
    assert set(again[again.index("cloud") :]) == {"cloud"}


def test_it_asks_again_too_where_the_connection_itself_was_lost():
    device = Device()
    assert set(device.runs(50)) == {"cloud"}
    device.tracker.link_down()
    device.left_bytes.clear()
    assert set(device.runs(600)) == {"device"}
    device.tracker.link_up(RTT_S, device.clock.now())
    assert "cloud" in device.runs(30)


@pytest.mark.parametrize("mbps", [0.02, 0.05, 0.1, 0.2])
def test_a_link_that_crawled_is_found_fast_again_once_what_was_seen_then_is_old(mbps):
    device = Device(mbps)
    assert set(device.runs(300)[50:]) == {"device"}
    device.mbps = 40.0
    rules = LinkRules()
    assert "cloud" in device.runs(round((rules.memory_s + rules.silence_s) * 10))


def test_rules_are_the_trackers_own():
    rules = replace(LinkRules(), silence_s=9.0)
    assert connected(rules).probe_due(8.0) is None
    assert connected(rules).probe_due(9.0) is not None
