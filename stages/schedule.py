"""Schedule: every clip gets the plan that its policy chooses."""

import logging
from dataclasses import replace
from typing import Protocol

from pipeline.clock import Clock
from pipeline.in_flight import InFlight
from pipeline.items import Clip, Moment, Plan, Planned
from pipeline.ledger import Ledger
from scheduling.situation import Situation

log = logging.getLogger(__name__)


class Policy(Protocol):
    """Chooses the plan of a clip by what is known at the moment."""

    def choose(self, moment: Moment) -> Plan: ...


class Schedule:
    """Asks the policy, and notes when."""

    def __init__(self, policy: Policy, situation: Situation, clock: Clock) -> None:
        self._policy = policy
        self._situation = situation
        self._clock = clock

    async def __call__(self, clip: Clip) -> Planned:
        now = self._clock.now()
        plan = self._policy.choose(self._situation.moment(clip.deadline, now))
        self._situation.planned(clip.clip_id, plan, now)
        log.debug("%s: %s, split %d, %s; %s", clip.clip_id, plan.pruning, plan.split, plan.codec, plan.why)
        return Planned(clip, plan, now)


class ScheduleReplay:
    """Schedules clips of files, which are ready when there is room for them: their latency counts from
    then on, and not from when a source that had to wait was read."""

    def __init__(
        self, schedule: Schedule, ledger: Ledger, in_flight: InFlight, clock: Clock, sla_ms: float | None
    ) -> None:
        self._schedule = schedule
        self._ledger = ledger
        self._in_flight = in_flight
        self._clock = clock
        self._sla_ms = sla_ms

    async def __call__(self, clip: Clip) -> Planned:
        await self._in_flight.enter(clip.clip_id)
        now = self._clock.now()
        deadline = clip.deadline if self._sla_ms is None else now + self._sla_ms / 1000
        clip = replace(clip, ready_at=now, deadline=deadline)
        self._ledger.restart(clip)
        return await self._schedule(clip)
