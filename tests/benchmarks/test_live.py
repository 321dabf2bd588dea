import pytest

from benchmarks.live import Line, joules


@pytest.mark.parametrize(("shares", "told"), [([1.0, 2.0], "1.500"), ([0.0], "0.000"), ([None], "")])
def test_joules_are_the_mean_of_the_records_that_have_them(shares, told):
    records = [{} if share is None else {"energy_j": share} for share in shares]
    assert joules([Line(record, 0.0) for record in records]) == told
