"""Sinks and far ends that fail when told to."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from threading import Event

import anyio

from pipeline.errors import SinkError
from pipeline.items import Prediction
from sinks.segments import Spooled


class FlakySink:
    """Refuses while `error` is set, hangs while `free` is not; tells of each attempt with `attempted`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.free = Event()
        self.free.set()
        self.attempted = Event()
        self.seqs: list[int] = []
        self.is_open = False

    def open(self) -> None:
        self.is_open = True

    def write(self, prediction: Prediction) -> None:
        self.attempted.set()
        self.free.wait()
        if self.error is not None:
            raise self.error
        self.seqs.append(prediction.seq)

    def close(self) -> None:
        self.is_open = False


class FlakyRemote:
    """Refuses connections while not `there`, sends while not `taking`, and records in `poison` for ever."""

    greets = True

    def __init__(self, most_records: int = 4) -> None:
        self.name = "far://end"
        self.most_records = most_records
        self.there = self.taking = True
        self.answers = True
        self.poison: set[int] = set()
        self.refusal: type[SinkError] = SinkError
        self.seqs: list[int] = []
        self.states: dict[str, str] = {}
        self.sessions = 0
        self.cut = anyio.Event()

    def tell(self, source: str, state: str) -> None:
        self.states[source] = state

    @asynccontextmanager
    async def session(self) -> AsyncIterator["FlakyRemote"]:
        if not self.there:
            raise SinkError("far://end: nobody there")
        self.sessions += 1
        self.cut = anyio.Event()
        yield self

    async def send(self, records: Sequence[Spooled]) -> None:
        if not self.answers:
            await anyio.sleep_forever()
        if not self.taking:
            raise SinkError("far://end: not now")
        seqs = [record.fields["seq"] for record in records]
        if self.poison & set(seqs):
            raise self.refusal("far://end: never")
        self.seqs += seqs

    async def lost(self) -> None:
        await self.cut.wait()
        raise SinkError("far://end: gone")
