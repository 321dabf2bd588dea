import math

from hypothesis import given
from hypothesis import strategies as st

from commands.operations.counting import Histogram, Tally


def test_a_tally_counts_by_labels_and_shows_the_known_ones_from_the_start():
    tally = Tally([("ok", "cloud")])
    assert list(tally) == [(("ok", "cloud"), 0)]
    tally.add("ok", "cloud")
    tally.add("late", "device", number=3)
    assert dict(tally) == {("ok", "cloud"): 1, ("late", "device"): 3}
    assert tally["failed", "none"] == 0


@given(labels=st.lists(st.text(max_size=3)), most=st.integers(1, 5))
def test_a_tally_never_has_more_than_its_most_labels_and_one_for_all_others(labels, most):
    tally = Tally(most=most)
    for label in labels:
        tally.add(label)
    counts = dict(tally)
    assert sum(counts.values()) == len(labels)
    assert len(counts) <= most + 1
    if len(counts) > most:
        assert ("other",) in counts


@given(values=st.lists(st.floats(0, 20)))
def test_buckets_rise_and_hold_what_is_no_greater(values):
    histogram = Histogram((0.5, 1.0, 10.0))
    for value in values:
        histogram.add(value)
    expected = [float(sum(value <= bound for value in values)) for bound in (0.5, 1.0, 10.0, math.inf)]
    assert histogram.buckets() == list(zip(("0.5", "1", "10", "+Inf"), expected, strict=True))
    assert histogram.count == len(values)
    assert math.isclose(histogram.sum, math.fsum(values), abs_tol=1e-9)


def test_what_is_no_number_is_not_counted():
    histogram = Histogram((1.0,))
    histogram.add(math.nan)
    histogram.add(2.0)
    assert (histogram.count, histogram.sum) == (1, 2.0)
