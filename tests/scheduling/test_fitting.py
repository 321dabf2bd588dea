import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.fitting import best_curve, fit_error, fit_line, fit_quadratic, fit_table
from scheduling.profile import Line

COUNTS = [16, 24, 48, 96, 197, 400, 800, 1568]
HELD_OUT = [32, 64, 128, 300, 600, 1200]
times = st.dictionaries(st.integers(1, 2000), st.floats(0.01, 1e4), min_size=2, max_size=30)


def layer_ms(counts):
    """A layer with a quadratic attention, as it is."""
    return {n: 0.2 + 0.01 * n + 1e-5 * n * n for n in counts}


def test_the_line_is_numpys_line():
    line = fit_line(layer_ms(COUNTS))
    slope, base = np.polyfit(COUNTS, list(layer_ms(COUNTS).values()), 1)
    assert line.slope == pytest.approx(slope)
    assert line.base == pytest.approx(base)


def test_a_relative_line_is_nearer_where_times_are_short():
    plain, relative = (fit_line(layer_ms(COUNTS), relative) for relative in (False, True))
    assert fit_error(relative, layer_ms(COUNTS)).mean_error < fit_error(plain, layer_ms(COUNTS)).mean_error


@given(st.floats(0, 10), st.floats(0.001, 1), st.floats(0, 1e-3))
def test_a_quadratic_is_found_again(base, slope, square):
    measured = {n: base + slope * n + square * n * n for n in COUNTS}
    assert fit_error(fit_quadratic(measured), measured).worst_error < 1e-6


@given(times)
def test_a_table_never_falls_and_keeps_times_that_do_not(measured):
    table = fit_table(measured)
    assert list(table.values) == sorted(table.values)
    rising = dict(zip(sorted(measured), sorted(measured.values()), strict=True))
    np.testing.assert_allclose(fit_table(rising).values, list(rising.values()))


@given(times)
def test_a_table_stays_within_what_was_measured(measured):
    table = fit_table(measured)
    assert min(measured.values()) * (1 - 1e-9) <= table.values[0]
    assert table.values[-1] <= max(measured.values()) * (1 + 1e-9)


def test_neighbours_that_fall_share_a_mean_that_leans_to_the_shorter():
    table = fit_table({1: 1.0, 2: 4.0, 3: 2.0, 4: 9.0})
    assert table.values[1] == table.values[2] == pytest.approx((4 / 16 + 2 / 4) / (1 / 16 + 1 / 4))
    assert (table.values[0], table.values[3]) == (1.0, 9.0)


def test_the_error_of_a_curve_is_relative_to_what_was_measured():
    error = fit_error(Line(base=0.0, slope=1.0), {10: 10.0, 20: 16.0})
    assert error.mean_error == pytest.approx(0.125)
    assert error.worst_error == pytest.approx(0.25)
    assert error.r2 == pytest.approx(1 - 16 / 18)


def test_the_quadratic_is_chosen_where_attention_is_quadratic():
    curve, errors = best_curve(layer_ms(COUNTS), layer_ms(HELD_OUT))
    assert curve.kind == "quadratic"
    assert [kind for kind, error in errors.items() if error.chosen] == ["quadratic"]
    assert errors["line"].mean_error > 0.05 > errors["quadratic"].mean_error


def test_the_table_is_chosen_where_time_goes_in_a_bend():
    bent = {n: max(1.0, n / 200) ** 0.3 for n in COUNTS + HELD_OUT}
    curve, errors = best_curve({n: bent[n] for n in COUNTS}, {n: bent[n] for n in HELD_OUT})
    assert curve.kind == "table"
    assert set(curve.tokens) == set(bent)
    assert errors["table"].chosen


@pytest.mark.parametrize(("fit", "fewest"), [(fit_line, 2), (fit_quadratic, 3), (fit_table, 2)])
def test_too_few_counts_are_refused(fit, fewest):
    with pytest.raises(ValueError, match=f"takes {fewest} token counts"):
        fit(layer_ms(COUNTS[: fewest - 1]))
