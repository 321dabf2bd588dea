"""Curves through measured times: the paper's straight line, and what comes nearer."""

from collections.abc import Callable, Mapping

import numpy as np

from scheduling.profile import Curve, FitError, Line, Quadratic, Table, Values

__all__ = ["FitError", "best_curve", "fit_error", "fit_line", "fit_quadratic", "fit_table"]

Times = Mapping[int, float]
TINY = 1e-12
HANDICAP = {"table": 1.5}


def fit_line(times: Times, relative: bool = False) -> Line:
    """The line of least squares through `times` (Janus, section III-B), or of least squares of the
    relative error. ValueError for fewer than two token counts."""
    base, slope = _polynomial(times, 1, relative)
    return Line(base=base, slope=slope)


def fit_quadratic(times: Times) -> Quadratic:
    """The quadratic of least squares of the relative error. ValueError for fewer than three token counts."""
    base, slope, square = _polynomial(times, 2, relative=True)
    return Quadratic(base=base, slope=slope, square=square)


def fit_table(times: Times) -> Table:
    """The measured times themselves, levelled where they fall: neighbours that do share their mean.

    Pool adjacent violators (Ayer et al., 1955), each time weighed by the inverse of its square. ValueError
    for fewer than two token counts.
    """
    _require(times, 2)
    tokens = sorted(times)
    pools: list[tuple[float, float, int]] = []
    for count in tokens:
        pool = (times[count], 1 / max(times[count], TINY) ** 2, 1)
        while pools and pools[-1][0] > pool[0]:
            pool = _pooled(pools.pop(), pool)
        pools.append(pool)
    values = [value for value, _, length in pools for _ in range(length)]
    return Table(tokens=tuple(map(float, tokens)), values=tuple(values))


def best_curve(train: Times, held_out: Times) -> tuple[Curve, dict[str, FitError]]:
    """Of the curves fitted to `train` the kind with the least mean error on `held_out`, fitted to both;
    and how far each kind was off. A table, which follows noise as well, has to be clearly nearer."""
    kinds: dict[str, Callable[[Times], Line | Quadratic | Table]] = {
        "line": fit_line,
        "quadratic": fit_quadratic,
        "table": fit_table,
    }
    errors = {kind: fit_error(fit(train), held_out) for kind, fit in kinds.items()}
    chosen = min(errors, key=lambda kind: errors[kind].mean_error * HANDICAP.get(kind, 1.0))
    errors[chosen] = errors[chosen].model_copy(update={"chosen": True})
    return kinds[chosen]({**train, **held_out}), errors


def fit_error(curve: Curve, held_out: Times) -> FitError:
    """R², mean and worst relative error of `curve` on `held_out`; ValueError for fewer than two counts."""
    _require(held_out, 2)
    tokens, measured = _arrays(held_out)
    predicted = curve.at(tokens)
    relative = np.abs(predicted - measured) / measured
    residue, spread = ((predicted - measured) ** 2).sum(), ((measured - measured.mean()) ** 2).sum()
    r2 = 1 - residue / max(spread, TINY)
    return FitError(r2=float(r2), mean_error=float(relative.mean()), worst_error=float(relative.max()))


def _polynomial(times: Times, degree: int, relative: bool) -> list[float]:
    """Coefficients, constant first; the tokens are scaled to 1 for a well-conditioned system."""
    _require(times, degree + 1)
    tokens, measured = _arrays(times)
    weights = 1 / np.maximum(measured, TINY) if relative else np.ones_like(measured)
    scale = max(tokens.max(), 1.0)
    system = np.vander(tokens / scale, degree + 1, increasing=True)
    found = np.linalg.lstsq(system * weights[:, None], measured * weights, rcond=None)[0]
    return [float(value) for value in found / scale ** np.arange(degree + 1)]


def _pooled(left: tuple[float, float, int], right: tuple[float, float, int]) -> tuple[float, float, int]:
    weight = left[1] + right[1]
    return (left[0] * left[1] + right[0] * right[1]) / weight, weight, left[2] + right[2]


def _arrays(times: Times) -> tuple[Values, Values]:
    return np.array(list(times), np.float64), np.array(list(times.values()), np.float64)


def _require(times: Times, count: int) -> None:
    if len(times) < count:
        raise ValueError(f"a fit takes {count} token counts or more, not {len(times)}")
