"""What a device run works on, what it can tell, and that each of its clips gets a record."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio

from commands.delivery import Delivery
from pipeline.background import background
from pipeline.channel import Channel, Overflow
from pipeline.energy.meter import EnergyMeter
from pipeline.errors import JanusError
from pipeline.items import Prediction
from pipeline.ledger import Ledger
from pipeline.runner import Pipeline, root_cause
from pipeline.stage import Stage, dropped
from scheduling.situation import Situation
from sinks.base import Sink
from stages.capture import Captured
from stages.clip_batch import ClipBatch
from stages.holder import Holder
from stages.rescue import Rescue
from transport.client import CloudClient

StageRun = Callable[[Channel[Any]], AsyncGenerator[Any, None]]

LIVE_BACKLOG = 2
OVERLOADED = "overload: newer clips were waiting for the model"


@dataclass(frozen=True, slots=True)
class Running:
    """The parts of a run that can tell how it goes, for its event loop to ask. `holders` says of each part of
    a DeViT who holds it now, if anybody; `end_by` hears when the run, which was asked to end, has to."""

    ledger: Ledger
    situation: Situation
    batch: ClipBatch
    pipeline: Pipeline
    client: CloudClient | None
    rescue: Rescue | None
    holders: Callable[[], Sequence[Holder | None]] = tuple
    end_by: Callable[[float], None] = lambda ends: None


@dataclass(frozen=True, slots=True)
class Job:
    """What one device run works on. `live` drops the oldest clips where replay makes sources wait; sources
    in `first_seq` number their clips from there on. `energy` is the meter of the machine it runs on."""

    inlets: Sequence[AsyncGenerator[Captured, None]]
    sinks: Sequence[Sink]
    live: bool
    done: Mapping[str, float] = field(default_factory=dict)
    first_seq: Mapping[str, int] = field(default_factory=dict)
    energy: EnergyMeter = field(default_factory=EnergyMeter)
    on_record: Callable[[Prediction], None] = lambda record: None
    on_start: Callable[[Running], None] = lambda running: None


def schedule_stage(run: StageRun, live: bool) -> Stage:
    """The stage `schedule`; live, the only one in front of which clips are dropped."""
    if not live:
        return Stage("schedule", run)
    return Stage("schedule", run, LIVE_BACKLOG, Overflow.DROP_OLDEST, partial(dropped, reason=OVERLOADED))


@asynccontextmanager
async def every_record(ledger: Ledger, delivery: Delivery, live: bool) -> AsyncGenerator[None, None]:
    """While the body runs the pipeline, records that need not wait any more do not. Whatever ends a live one
    early, every admitted clip gets its record: it never resumes."""
    try:
        async with background(delivery.overdue):
            yield
    except BaseException as ended:
        end = root_cause(ended) if isinstance(ended, BaseExceptionGroup) else ended
        if live:
            await _fail_the_others(ledger, delivery, end)
        if end is ended:
            raise
        raise end from ended


async def _fail_the_others(ledger: Ledger, delivery: Delivery, end: BaseException) -> None:
    reason = str(end) if isinstance(end, JanusError) else "the run was ended before this clip was"
    with anyio.CancelScope(shield=True):
        for record in ledger.unfinished(reason):
            await delivery(record)
