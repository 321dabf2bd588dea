"""Schedule: every clip gets the plan that its policy chooses."""

import logging
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Protocol

from pipeline.channel import Channel
from pipeline.clock import Clock
from pipeline.in_flight import InFlight
from pipeline.items import Clip, Moment, Plan, Planned, Prediction, Status
from pipeline.ledger import Ledger
from pipeline.signal import Signal
from pipeline.stage import per_clip
from scheduling.admission import Admission
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


class ScheduleLive:
    """Schedules clips of live sources, and takes each one only when there is room for it: until then it may
    have to make room for a newer one."""

    def __init__(self, schedule: Schedule, admission: Admission, clock: Clock) -> None:
        self._schedule = schedule
        self._admission = admission
        self._clock = clock
        self._changed = Signal()

    def run(self, items: Channel[Clip | Prediction]) -> AsyncGenerator[Planned | Prediction, None]:
        """The stage."""
        return per_clip(self._enter)(self._let_in(items))

    def recorded(self, record: Prediction) -> None:
        """A clip has its record."""
        now = self._clock.now()
        if record.status is Status.DROPPED:
            self._admission.dropped(now)
        self._admission.left(record.clip_id, record.latency_ms["total"], now)
        self._changed.notify()

    async def _enter(self, clip: Clip) -> Planned:
        self._admission.entered(clip.clip_id)
        return await self._schedule(clip)

    async def _let_in(self, items: Channel[Clip | Prediction]) -> AsyncGenerator[Clip | Prediction, None]:
        waiting = aiter(items)
        while True:
            while not self._admission.has_room:
                await self._changed.wait()
            try:
                item = await anext(waiting)
            except StopAsyncIteration:
                return
            yield item


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

    def run(self, items: Channel[Clip | Prediction]) -> AsyncGenerator[Planned | Prediction, None]:
        """The stage."""
        return per_clip(self)(items)

    def recorded(self, record: Prediction) -> None:
        """A clip has its record."""
        self._in_flight.leave(record.clip_id)

    async def __call__(self, clip: Clip) -> Planned:
        await self._in_flight.enter(clip.clip_id)
        now = self._clock.now()
        deadline = clip.deadline if self._sla_ms is None else now + self._sla_ms / 1000
        clip = replace(clip, ready_at=now, deadline=deadline)
        self._ledger.restart(clip)
        return await self._schedule(clip)
