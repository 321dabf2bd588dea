"""Admit: clips go on a few at a time, all with the same plan."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace

from pipeline.channel import Channel
from pipeline.clock import Clock
from pipeline.in_flight import InFlight
from pipeline.items import Clip, Features, Plan, Prediction
from pipeline.ledger import Ledger
from pipeline.stage import dropped

MS = 1000.0
TOO_LATE = "overload: too little time was left when there was room for it"


class Admit:
    """Lets a clip in when there is room for it; `hopeless` says that it is too late for it by then."""

    def __init__(
        self,
        plan: Plan,
        in_flight: InFlight,
        clock: Clock,
        hopeless: Callable[[float, float], bool] = lambda now, deadline: False,
    ) -> None:
        self._plan = plan
        self._in_flight = in_flight
        self._clock = clock
        self._hopeless = hopeless

    async def run(self, items: Channel[Clip | Prediction]) -> AsyncGenerator[Features | Prediction, None]:
        """Pass records on, let clips in; what goes on are their pixels."""
        async for item in items:
            if isinstance(item, Prediction):
                yield item
            else:
                await self._in_flight.enter(item.clip_id)
                yield await self._admit(item)

    async def _admit(self, clip: Clip) -> Features | Prediction:
        if self._hopeless(self._clock.now(), clip.deadline):
            return dropped(clip, TOO_LATE)
        wait_ms = (self._clock.now() - clip.ready_at) * MS
        return Features(clip, self._plan, clip.frames, None, {"wait": wait_ms})


class AdmitReplay(Admit):
    """The same for clips of files, which are ready when they are let in: latency counts from then on. Each
    waits for `ready`, which may raise what ends the run."""

    def __init__(
        self,
        plan: Plan,
        in_flight: InFlight,
        clock: Clock,
        ready: Callable[[], Awaitable[None]],
        *,
        ledger: Ledger,
        sla_ms: float | None,
    ) -> None:
        super().__init__(plan, in_flight, clock)
        self._ready = ready
        self._ledger = ledger
        self._sla_ms = sla_ms

    async def _admit(self, clip: Clip) -> Features | Prediction:
        await self._ready()
        now = self._clock.now()
        deadline = clip.deadline if self._sla_ms is None else now + self._sla_ms / MS
        clip = replace(clip, ready_at=now, deadline=deadline)
        self._ledger.restart(clip)
        return await super()._admit(clip)
