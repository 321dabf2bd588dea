from hypothesis import given
from hypothesis import strategies as st

from sinks.outage import Outage, SinkStatistics


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_waits_double_with_jitter_up_to_the_longest(seed, failures):
    outage = Outage(first_s=1.0, longest_s=20.0, seed=seed)
    for number in range(failures):
        step_s = min(2.0**number, 20.0)
        assert step_s / 2 <= outage.failed(float(number), "gone") <= step_s


def test_an_outage_begins_with_its_first_failure_and_the_next_with_short_waits_again():
    outage = Outage(first_s=1.0)
    assert outage.over(1.0) is None
    for now in (5.0, 6.0, 9.0):
        outage.failed(now, f"gone at {now}")
    assert (outage.since, outage.last_error) == (5.0, "gone at 9.0")
    assert outage.to_say(9.0)
    assert outage.over(12.0) == 7.0
    assert outage.since is None
    assert outage.failed(20.0, "again") <= 1.0
    assert outage.since == 20.0
    assert outage.over(21.0) is None, "nobody was told of this one"


def test_a_warning_is_due_once_a_minute():
    outage = Outage()
    assert [now for now in range(200) if outage.to_say(float(now))] == [0, 60, 120, 180]


def test_the_numbers_of_a_queue_and_of_what_is_behind_it_become_one():
    near = SinkStatistics("far", written=50, waiting=2, given_up=1, failing_since=9.0, last_error="disk")
    far = SinkStatistics("far", written=30, spooled=20, given_up=3, failing_since=4.0, last_error="gone")
    assert near.behind(far) == SinkStatistics("far", 30, 2, 20, 4, 4.0, "disk")
    well = SinkStatistics("far", written=50)
    assert well.behind(far).last_error == "gone"
    assert well.behind(SinkStatistics("far")).failing_since is None
