from hypothesis import given
from hypothesis import strategies as st

from commands.evaluation.figures import accuracy_figure, front
from commands.evaluation.summary import summarise
from tests.commands.evaluation.rows import LIGHT, MS, a_summary, score


def test_the_figure_holds_every_row_and_its_front():
    figure = accuracy_figure(a_summary(), "motions")
    assert [len(trace.x) for trace in figure.data] == [2, 2, 2, 1, 2, 1]
    assert "uniform:6, int8" in figure.data[2].text


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 50)), min_size=1, max_size=12))
def test_nothing_is_better_than_the_front_at_its_cost(drawn):
    rows = [summarise([score(LIGHT, "int8", 3, right, size)], MS, 129).rows[0] for right, size in drawn]
    cost = lambda row: row.num_bytes  # noqa: E731
    best = front(rows, cost)
    for row in rows:
        assert any(cost(other) <= cost(row) and other.accuracy >= row.accuracy for other in best)
    assert [row.accuracy for row in best] == sorted({row.accuracy for row in best})
