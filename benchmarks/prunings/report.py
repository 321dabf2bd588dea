"""The tables."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich.table import Table

from benchmarks.forward import mark
from benchmarks.prunings.fronts import Cost, best, best_by_rule, front
from benchmarks.prunings.measure import SPLITS, Machines, Row

BUDGETS = (90, 80, 70, 60, 55, 45, 35)
BYTES_BUDGETS = (90, 75, 60, 45)
PLAN_BUDGETS = (90, 80, 70)
PLAN_SPLITS = (3, 6, 9)
TARGET_WORK = 60
TARGETS = {"merging": 91.5, "int8": 97.5}
RULES = ("exponential", "falling", "uniform", "rising", "late", "ramp")
CHOICE = "chosen on one half of the data; agreement, %, on the other half (on all)"


def front_table(rows: Sequence[Row], machines: Machines, cost: Cost, title: str) -> Table:
    """What is beaten by nothing at equal or less cost."""
    columns = ("pruning", "work, %", "ms", "one half", "other half", "all", "top-1, %")
    title = f"{title}; agreement on the half that chose, on the other, on all; tokens left behind each split"
    table = Table(*columns, *(f"@{split}" for split in SPLITS), title=title)
    for row in front(rows, cost):
        left = (str(row.pruning.tokens_after(machines.profile.num_tokens, split)) for split in SPLITS)
        shares = (row.chosen, row.judged, row.agreement, row.top1)
        figures = (f"{row.work:.1f}", f"{machines.device_ms(row):.1f}", *(f"{share:.1f}" for share in shares))
        table.add_row(str(row.pruning), *figures, *left)
    return table


def work_table(rows: Sequence[Row]) -> Table:
    """The best of each rule by tokens times layers."""
    table = _by_rule(f"tokens x layers, % of none\n{CHOICE}")
    for budget in BUDGETS:
        _add(table, rows, lambda row: row.work, budget, f"{budget}")
    return table


def time_table(rows: Sequence[Row], machines: Machines) -> Table:
    """The best of each rule by the time of a forward."""
    whole_ms = machines.device_ms(_unmerged(rows))
    table = _by_rule(f"ms of a forward, % of {whole_ms:.1f} ms\n{CHOICE}")
    for budget in BUDGETS:
        _add(table, rows, machines.device_ms, budget / 100 * whole_ms, f"{budget}")
    return table


def bytes_table(rows: Sequence[Row], machines: Machines) -> Table:
    """The best of each rule by the bytes behind each split."""
    table = _by_rule(f"int8 bytes behind a split, % of none\n{CHOICE}")
    for split in SPLITS:
        for budget in BYTES_BUDGETS:
            most = budget / 100 * machines.num_bytes(_unmerged(rows), split)
            _add(table, rows, lambda row, at=split: machines.num_bytes(row, at), most, f"@{split}: {budget}")
    return table


def plan_table(rows: Sequence[Row], machines: Machines, links_mbps: Sequence[float]) -> Table:
    """The best of each rule by the time of a split plan: head, link and tail."""
    title = f"ms of a plan, % of none; device {machines.slowdown:g} times slower than the cloud"
    table = _by_rule(f"{title}, round trip {machines.rtt_ms:g} ms; Mbit/s @split\n{CHOICE}")
    for mbps in links_mbps:
        at = replace(machines, mbps=mbps)
        for split in PLAN_SPLITS:
            whole_ms = at.plan_ms(_unmerged(rows), split)
            for budget in PLAN_BUDGETS:
                label = f"{mbps:g} @{split}\n{budget} of {whole_ms:.0f}"
                _add(
                    table,
                    rows,
                    lambda row, at=at, split=split: at.plan_ms(row, split),
                    budget / 100 * whole_ms,
                    label,
                )
    return table


def dtype_table(found: Mapping[str, Sequence[Row]], ms: Mapping[str, float]) -> Table:
    """Prunings in each number format, against the unmerged float32 model."""
    table = Table("layers", "pruning", "agreement, %", "other half", "top-1, %", "ms", title="number formats")
    for dtype, rows in found.items():
        for row in rows:
            wanted = TARGETS.get(dtype) if row.rule == "none" else None
            figures = (mark(row.agreement, wanted, at_most=False), f"{row.judged:.1f}", f"{row.top1:.1f}")
            table.add_row(dtype, str(row.pruning), *figures, f"{ms[f'{dtype} {row.pruning}']:.1f}")
    return table


def target_line(rows: Sequence[Row]) -> str:
    """The best at the work that was aimed at."""
    row = best(rows, lambda row: row.work, TARGET_WORK)
    if row is None:
        return f"nothing needs as little as {TARGET_WORK} % of the work"
    reached = mark(row.agreement, TARGETS["merging"], at_most=False)
    return f"at {TARGET_WORK} % of the work: {row.pruning} keeps {reached} % of the answers"


def dropping_table(merged: Sequence[Row], dropped: Sequence[Row]) -> Table:
    """Merging beside dropping, as many tokens at each layer."""
    columns = ("pruning", "work, %", "merged: agreement, %", "top-1, %", "dropped: agreement, %", "top-1, %")
    table = Table(*columns, title="tokens merged, and the least attended dropped")
    for one, other in zip(merged, dropped, strict=True):
        shares = (one.work, one.agreement, one.top1, other.agreement, other.top1)
        table.add_row(str(one.pruning), *(f"{share:.1f}" for share in shares))
    return table


def _unmerged(rows: Sequence[Row]) -> Row:
    return next(row for row in rows if row.rule == "none")


def _by_rule(title: str) -> Table:
    return Table("budget", *RULES, title=title)


def _add(table: Table, rows: Sequence[Row], cost: Cost, budget: float, label: str) -> None:
    """A row for `budget`, where any rule meets it."""
    winners = best_by_rule(rows, cost, budget)
    if not winners:
        return
    top = max(row.chosen for row in winners.values())
    table.add_row(label, *(_cell(winners.get(rule), top) for rule in RULES))


def _cell(row: Row | None, top: float) -> str:
    if row is None:
        return "-"
    text = f"{row.pruning}\n{row.judged:.1f} ({row.agreement:.1f})"
    return f"[bold]{text}[/]" if row.chosen == top else text
