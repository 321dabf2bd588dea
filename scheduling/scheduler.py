"""Algorithm 1: the most accurate plan that meets the deadline, else the fastest."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.items import Alternative, Moment, Plan
from scheduling.costs import CostTable

BITS_PER_BYTE_MS = 8 / 1000  # ms * Mbit/s per byte
NEVER_MS = 1e9

Totals = NDArray[np.float64]


class Predictor(Protocol):
    """Total ms of every candidate at a moment."""

    def __call__(self, moment: Moment) -> Totals: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """The chosen candidate's index, its predicted total, and whether that meets the deadline."""

    index: int
    total_ms: float
    meets: bool


class Scheduler:
    """Chooses among the candidates of one cost table."""

    def __init__(self, table: CostTable, name: str = "janus+", rescue_margin_ms: float | None = None) -> None:
        """With `rescue_margin_ms` a plan is taken only if the device could still finish the clip by itself
        that long before the deadline, should no answer come; where no such plan is left, any other."""
        self.table = table
        self._name = name
        self._rescue_margin_ms = rescue_margin_ms
        self._costs = np.ascontiguousarray(table.columns[:, :7].T)
        self._ahead = self._costs[[0, 3, 6]]
        ranks = table.ranks
        self._starts = np.flatnonzero(np.diff(ranks, prepend=ranks[0] - 1))
        self._ends = np.append(self._starts[1:], len(table))
        self._group = np.searchsorted(self._starts, np.arange(len(table)), side="right") - 1
        self._rescue_ms = np.where(table.sends > 0, table.rescue_ms, -np.inf)
        self._slowest_rescue_ms = float(self._rescue_ms.max())
        self._local = np.flatnonzero(table.sends == 0)
        self._cloud = np.array(
            [index for index, candidate in enumerate(table.candidates) if candidate.split == 0], np.int64
        )
        self._rows: dict[str, list[int]] = {}
        for index, candidate in enumerate(table.candidates):
            self._rows.setdefault(candidate.codec, []).append(index)

    def rescale(self, codec: str, factor: float) -> None:
        """From now on expect `factor` times the table's bytes of this codec."""
        rows = self._rows.get(codec, [])
        self._costs[2, rows] = self.table.num_bytes[rows] * factor

    def predict(self, moment: Moment) -> Totals:
        """Total ms [m] of every candidate: wait for the device + head + encode + wait for the link + bytes
        over bandwidth + rtt + wait in the cloud + decode + tail."""
        per_byte_ms = min(BITS_PER_BYTE_MS / moment.mbps, NEVER_MS) if moment.mbps > 0 else NEVER_MS
        sending_ms = moment.rtt_ms + moment.cloud_wait_ms if moment.connected else NEVER_MS
        weights = np.array(
            [
                moment.device_factor,
                moment.cloud_factor,
                per_byte_ms,
                1.0,
                1.0,
                sending_ms,
                moment.device_wait_ms,
            ]
        )
        totals: Totals = weights @ self._costs
        if moment.link_wait_ms > 0:
            left_ms = moment.link_wait_ms - weights[[0, 3, 6]] @ self._ahead
            totals += np.maximum(left_ms, 0.0, out=left_ms) * self.table.sends
        return totals

    def decide(self, moment: Moment, totals: Totals | None = None) -> Decision:
        """Janus, Algorithm 1: from the best accuracy level to the worst, the fastest candidate of each;
        the first that meets the deadline, with the moment's caution, else the fastest where none does."""
        totals = self.predict(moment) if totals is None else totals
        allowed, budget_ms = self._rescuable(moment, totals), moment.budget_ms / moment.caution
        group = self._first_that_meets(allowed, budget_ms)
        if group is None and allowed is not totals:
            allowed, group = totals, self._first_that_meets(totals, budget_ms)
        index = int(totals.argmin()) if group is None else self._fastest_of(group, allowed)
        return Decision(index, float(totals[index]), group is not None)

    def plan(self, moment: Moment) -> Plan:
        """The plan for a clip at this moment, with its expected latency in parts and what else was near."""
        totals = self.predict(moment)
        chosen = self.decide(moment, totals)
        candidate = self.table.candidates[chosen.index]
        return Plan(
            candidate.pruning,
            candidate.split,
            candidate.codec,
            expected_ms=self.parts(chosen.index, moment, chosen.total_ms),
            why=self._why(chosen),
            near=self._near(chosen, totals, moment.budget_ms / moment.caution),
            expected_bytes=float(self.table.num_bytes[chosen.index]),
            moment=moment,
        )

    def parts(self, index: int, moment: Moment, total_ms: float) -> dict[str, float]:
        """The predicted latency of one candidate in the parts that a record measures."""
        head, tail, num_bytes, encode, decode, sends, uses_model = self._costs[:, index].tolist()
        wait, head = uses_model * moment.device_wait_ms, head * moment.device_factor
        if not sends:
            return {"wait": wait, "head": head, "total": total_ms}
        per_byte_ms = min(BITS_PER_BYTE_MS / moment.mbps, NEVER_MS) if moment.mbps > 0 else NEVER_MS
        link = max(moment.link_wait_ms - wait - head - encode, 0.0)
        return {
            "wait": wait,
            "head": head,
            "encode": encode,
            "link": link,
            "uplink": num_bytes * per_byte_ms + moment.rtt_ms / 2,
            "queue": moment.cloud_wait_ms,
            "decode": decode,
            "tail": tail * moment.cloud_factor,
            "downlink": moment.rtt_ms / 2,
            "total": total_ms,
        }

    def _first_that_meets(self, totals: Totals, budget_ms: float) -> int | None:
        """The best level with a candidate that meets the deadline."""
        meets = np.minimum.reduceat(totals, self._starts) <= budget_ms
        group = int(meets.argmax())
        return group if meets[group] else None

    def _rescuable(self, moment: Moment, totals: Totals) -> Totals:
        """The totals, infinite where the device could not finish in time by itself."""
        if self._rescue_margin_ms is None:
            return totals
        left_ms = moment.budget_ms - self._rescue_margin_ms - moment.device_wait_ms
        left_ms /= moment.device_factor
        if self._slowest_rescue_ms <= left_ms:
            return totals
        return np.where(self._rescue_ms > left_ms, np.inf, totals)

    def _why(self, chosen: Decision) -> str:
        if not chosen.meets:
            return f"{self._name}: no plan is sure to meet the deadline; the fastest"
        if self.table.candidates[chosen.index].rank == self.table.candidates[0].rank:
            return f"{self._name}: the fastest at the best level"
        return f"{self._name}: the best level that meets the deadline"

    def _near(self, chosen: Decision, totals: Totals, budget_ms: float) -> tuple[Alternative, ...]:
        """The fastest at the best level and at the next better level, the fastest of all, and the best
        that would meet the deadline on the device alone and in the cloud alone; each where it is not the
        chosen one."""
        found = {self._fastest_of(0, totals): "best level", int(totals.argmin()): "fastest"}
        group = int(self._group[chosen.index])
        if group > 0:
            found.setdefault(self._fastest_of(group - 1, totals), "next better level")
        for places, what in ((self._local, "all on the device"), (self._cloud, "all in the cloud")):
            if len(places):
                there = totals[places]
                place = int((there <= budget_ms).argmax())
                place = place if there[place] <= budget_ms else int(there.argmin())
                found.setdefault(int(places[place]), what)
        found.pop(chosen.index, None)
        return tuple(self._alternative(index, what, totals, group) for index, what in found.items())

    def _fastest_of(self, group: int, totals: Totals) -> int:
        start = int(self._starts[group])
        return start + int(totals[start : self._ends[group]].argmin())

    def _alternative(self, index: int, what: str, totals: Totals, group: int) -> Alternative:
        candidate = self.table.candidates[index]
        other = int(self._group[index])
        level = "same" if other == group else "better" if other < group else "worse"
        return Alternative(
            what, level, candidate.pruning, candidate.split, candidate.codec, float(totals[index])
        )
