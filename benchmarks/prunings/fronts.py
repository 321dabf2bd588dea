"""Which pruning is the best within a budget, and which are beaten by none."""

from collections.abc import Callable, Sequence

from benchmarks.prunings.measure import Row

Cost = Callable[[Row], float]


def front(rows: Sequence[Row], cost: Cost) -> list[Row]:
    """Those that agree more, on the half that chooses, than all that cost as much or less; cheapest last."""
    found: list[Row] = []
    for row in sorted(rows, key=lambda row: (cost(row), -row.chosen)):
        if not found or row.chosen > found[-1].chosen:
            found.append(row)
    return found[::-1]


def best(rows: Sequence[Row], cost: Cost, budget: float) -> Row | None:
    """The one within `budget` that agrees most on the half that chooses, the cheaper of two equals."""
    within = [row for row in rows if cost(row) <= budget]
    return max(within, key=lambda row: (row.chosen, -cost(row)), default=None)


def best_by_rule(rows: Sequence[Row], cost: Cost, budget: float) -> dict[str, Row]:
    """The best of each rule that has one within `budget`."""
    rules = dict.fromkeys(row.rule for row in rows)
    found = {rule: best([row for row in rows if row.rule == rule], cost, budget) for rule in rules}
    return {rule: row for rule, row in found.items() if row is not None}
