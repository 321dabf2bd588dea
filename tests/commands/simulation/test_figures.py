import math

import numpy as np

from commands.simulation.contestants import Contestant, Entry, Rules
from commands.simulation.figures import Steady, alpha_of, bars, sensitivity, series
from scheduling.traces import constant
from tests.commands.simulation.test_comparison import row
from tests.scheduling.simulation.setups import parsed

TASK = parsed().tasks[0]
TRACE = constant(30.0)
JANUS = Entry(Contestant("janus", "paper"), TASK, Rules()).outcomes(TRACE, 20)
ALONE = Entry(Contestant("device-only", "paper"), TASK, Rules()).outcomes(TRACE, 20)


def values(figure, row_number: int) -> list[list[float]]:
    """The y values of every line or bar in one row of panels."""
    axis = "y" if row_number == 1 else f"y{row_number}"
    return [list(trace.y) for trace in figure.data if trace.yaxis == axis]


def test_bars_show_violations_and_throughput_by_group():
    rows = [row("janus", 4.0, 0.25), row("janus", 6.0, 0.5, group="h"), row("mixed", 2.0, 1.0)]
    figure = bars("still", rows)
    assert values(figure, 1) == [[25.0, 50.0], [100.0]]
    assert values(figure, 2) == [[4.0, 6.0], [2.0]]
    assert list(figure.data[0].x) == ["g", "h"]
    assert "Fig. 7" in figure.layout.title.text


def test_series_show_link_split_alpha_and_latency_of_every_clip():
    figure = series("still", TRACE, {"janus": JANUS, "device-only": ALONE}, 200)
    assert values(figure, 1) == [[30.0]]
    assert values(figure, 2)[0] == [one.plan.split for one in JANUS]
    assert np.isnan(values(figure, 3)[1]).all()
    assert np.allclose(values(figure, 4)[0], [one.latency_ms for one in JANUS])
    assert {shape.y0 for shape in figure.layout.shapes} == {200}
    assert TRACE.name in figure.layout.title.text


def test_sensitivity_shows_latency_alpha_and_split_against_bandwidth():
    points = [Steady(1.0, 300.0, 0.2, 7.0), Steady(9.0, 100.0, 0.0, 0.0)]
    figure = sensitivity("still", {"janus": points}, 200)
    assert [values(figure, number)[0] for number in (1, 2, 3)] == [[300, 100], [0.2, 0], [7, 0]]
    assert list(figure.data[0].x) == [1.0, 9.0]


def test_a_fixed_pruning_has_no_alpha():
    assert math.isnan(alpha_of(ALONE[0]))
    assert 0 <= alpha_of(JANUS[0]) < 2
