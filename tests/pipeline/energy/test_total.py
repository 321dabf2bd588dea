import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.energy.total import EnergyTotal


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e6))))
def test_the_mean_is_over_the_records_that_have_a_share(shares):
    known = [share for share in shares if share is not None]
    total = EnergyTotal.of(shares)
    assert (total.joules, total.records) == (pytest.approx(sum(known)), len(known))
    assert total.per_clip == (pytest.approx(sum(known) / len(known)) if known else None)


def test_it_is_told_where_there_is_anything_to_tell():
    assert EnergyTotal.of([1.0, None, 2.5]).told() == "3.5 J, 1.750 a clip"
    assert EnergyTotal.of([0.0]).told() == "0.0 J, 0.000 a clip"
    assert EnergyTotal.of([None]).told() is None
