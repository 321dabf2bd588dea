"""One policy over one trace: a discrete-event simulation of device, link and cloud.

The policies, the link's tracker and the backlog are the ones that run live; only time, the link and
the machines are simulated. Clips are taken in order, and what each will make known later
(acknowledgements, answers) waits in a queue until the clock gets there.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from pipeline.items import Moment, Plan
from scheduling.backlog import Backlog
from scheduling.link import LinkRules, LinkTracker
from scheduling.policies import ScheduledPolicy
from scheduling.rescue import LocalFinish, LocalFinishes
from scheduling.traces import Trace

MS = 1000.0
PROBE_STEP_S = 0.1
MESSAGE_BYTES = 300  # what a clip's message carries beside its payload


@dataclass(frozen=True, slots=True)
class Run:
    """What is simulated: a promise, a link, and how clips arrive.

    `clips_per_s` None is the paper's way: the next clip begins when the last one is out. `finishes`
    turns rescue on: the device finishes a clip itself when the answer is `overdue` times later than
    expected, or when it could only just meet the promise, less `rescue_margin_ms`. `clairvoyant` makes
    the policy know the trace's future.
    """

    trace: Trace
    sla_ms: float
    rtt_ms: float
    finishes: LocalFinishes | None = None
    clairvoyant: bool = False
    clips_per_s: float | None = None
    rules: LinkRules = field(default_factory=LinkRules)
    rescue_margin_ms: float = 5.0
    overdue: float = 1.25


@dataclass(frozen=True, slots=True)
class Outcome:
    """One clip: when it came, its plan, how it ended. `rescued` is the local finish that won, if one did."""

    ready_s: float
    latency_ms: float
    plan: Plan
    num_bytes: float
    link_mbps: float
    estimated_mbps: float
    rescued: LocalFinish | None = None


@dataclass(slots=True)
class _Path:
    """When the device has done its part of a clip, and when the clip is out."""

    device_done: float
    out: float


def simulate(policy: ScheduledPolicy, run: Run) -> list[Outcome]:
    """Every clip that begins within one length of the trace, in order."""
    return _Simulation(policy, run).outcomes()


class _Simulation:
    def __init__(self, policy: ScheduledPolicy, run: Run) -> None:
        self._policy = policy
        self._run = run
        self._scheduler = policy.scheduler
        self._table = policy.scheduler.table
        self._index = {(c.pruning, c.split, c.codec): i for i, c in enumerate(self._table.candidates)}
        self._tracker = LinkTracker(run.rules)
        self._backlog = Backlog()
        self._later: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()
        self._device_free = self._link_free = self._cloud_free = 0.0
        self._probe_at = 0.0

    def outcomes(self) -> list[Outcome]:
        """Clip after clip until the trace is over."""
        found: list[Outcome] = []
        ready = 0.0
        self._tracker.link_up(self._run.rtt_ms / MS, 0.0)
        while ready < self._run.trace.duration_s:
            found.append(self._clip(str(len(found)), ready))
            rate = self._run.clips_per_s
            ready = ready + found[-1].latency_ms / MS if rate is None else len(found) / rate
        return found

    def _clip(self, clip_id: str, ready: float) -> Outcome:
        self._advance(ready)
        moment = self._moment(ready)
        plan = self._clairvoyant(moment, ready) if self._run.clairvoyant else self._policy.choose(moment)
        self._backlog.planned(clip_id, plan, ready)
        index = self._index[plan.pruning, plan.split, plan.codec]
        path = self._follow(clip_id, index, ready)
        rescued = self._rescue(plan, path, ready) if plan.split <= self._table.num_layers else None
        return Outcome(
            ready,
            (path.out - ready) * MS,
            plan,
            float(self._table.num_bytes[index]),
            self._run.trace.mbps_at(ready),
            moment.mbps,
            rescued,
        )

    def _moment(self, now: float) -> Moment:
        link, waits = self._tracker.estimate(now), self._backlog.waits(now)
        return Moment(
            budget_ms=self._run.sla_ms,
            mbps=link.mbps,
            rtt_ms=link.rtt_ms,
            device_wait_ms=max(waits.device_ms, (self._device_free - now) * MS),
            link_wait_ms=waits.link_ms,
            cloud_wait_ms=waits.cloud_ms,
        )

    def _clairvoyant(self, moment: Moment, now: float) -> Plan:
        """Algorithm 1 over what each candidate will really take."""
        table, run = self._table, self._run
        begun = np.where(table.uses_model > 0, max(self._device_free, now), now)
        sent = begun + (table.head_ms + table.encode_ms) / MS
        num_bytes = np.rint(table.num_bytes + MESSAGE_BYTES)
        left = run.trace.finish_many(sent.clip(min=self._link_free), num_bytes)
        arrived = left + (run.rtt_ms / 2 + table.decode_ms) / MS
        answered = arrived.clip(min=self._cloud_free) + (table.tail_ms + run.rtt_ms / 2) / MS
        totals = (np.where(table.sends > 0, answered, sent) - now) * MS
        chosen = self._scheduler.decide(moment, totals)
        candidate = table.candidates[chosen.index]
        expected = self._scheduler.parts(chosen.index, moment, chosen.total_ms)
        return Plan(candidate.pruning, candidate.split, candidate.codec, expected, "oracle")

    def _follow(self, clip_id: str, index: int, ready: float) -> _Path:
        """What happens to a clip unless the device finishes it."""
        table, rtt_s = self._table, self._run.rtt_ms / MS
        head_done = ready
        if table.uses_model[index]:
            head_done = max(ready, self._device_free) + float(table.head_ms[index]) / MS
            self._device_free = head_done
        if not table.sends[index]:
            self._at(head_done, lambda: self._backlog.head_done(clip_id, head_done))
            return _Path(head_done, head_done)
        sent = head_done + float(table.encode_ms[index]) / MS
        arrived = self._send(clip_id, float(table.num_bytes[index]) + MESSAGE_BYTES, sent)
        self._at(sent, lambda: self._backlog.head_done(clip_id, sent))
        self._at(arrived + rtt_s / 2, lambda: self._backlog.uploaded(clip_id, arrived + rtt_s / 2))
        decoded = arrived + float(table.decode_ms[index]) / MS
        begun = max(decoded, self._cloud_free)
        self._cloud_free = begun + float(table.tail_ms[index]) / MS
        answered = self._cloud_free + rtt_s / 2
        self._at(answered, lambda: self._backlog.answered(clip_id, (begun - decoded) * MS, answered))
        return _Path(head_done, answered)

    def _send(self, key: str, num_bytes: float, at: float) -> float:
        """When the whole message has arrived; its acknowledgement reaches the tracker later."""
        self._link_free = self._run.trace.finish_s(max(at, self._link_free), round(num_bytes))
        arrived = self._link_free + self._run.rtt_ms / 2 / MS
        heard = arrived + self._run.rtt_ms / 2 / MS
        self._at(at, lambda: self._tracker.sent(key, round(num_bytes), at))
        self._at(heard, lambda: self._tracker.acknowledged(key, heard))
        return arrived

    def _rescue(self, plan: Plan, path: _Path, ready: float) -> LocalFinish | None:
        """The device's own finish, where it comes before the answer; `path` then ends with it."""
        finishes, run = self._run.finishes, self._run
        if finishes is None:
            return None
        tokens = plan.pruning.tokens_after(finishes.num_tokens, plan.split)
        deadline = ready + (run.sla_ms - run.rescue_margin_ms) / MS
        latest = deadline - finishes.fastest_ms(plan.split, tokens) / MS
        overdue = ready + plan.expected_ms["total"] * run.overdue / MS
        begin = max(path.device_done, self._device_free, min(latest, overdue))
        if path.out <= begin:
            return None
        way = finishes.lightest(plan.split, tokens, (deadline - begin) * MS)
        end = begin + way.ms / MS
        layer_s = way.ms / MS / max(1, self._table.num_layers - plan.split)
        self._device_free = min(end, path.out + layer_s)
        if end >= path.out:
            return None
        path.out = end
        return way

    def _advance(self, now: float) -> None:
        """Let everything happen that happens before `now`, probes among it; who knows the link needs none."""
        probes = self._policy.needs_cloud and not self._run.clairvoyant
        while probes and self._probe_at <= now:
            self._happen(self._probe_at)
            num_bytes = self._tracker.probe_due(self._probe_at)
            if num_bytes is not None:
                self._send(f"probe at {self._probe_at}", num_bytes, self._probe_at)
            self._probe_at += PROBE_STEP_S
        self._happen(now)

    def _at(self, time_s: float, action: Callable[[], object]) -> None:
        heapq.heappush(self._later, (time_s, next(self._order), action))

    def _happen(self, until: float) -> None:
        while self._later and self._later[0][0] <= until:
            heapq.heappop(self._later)[2]()
