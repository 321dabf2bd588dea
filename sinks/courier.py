"""Carries records from a spool to a far end, through every outage of that end."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Protocol

import anyio

from pipeline.clock import Clock
from pipeline.errors import SinkError
from sinks.outage import Outage, SinkStatistics
from sinks.segments import Spooled
from sinks.spool import Spool

log = logging.getLogger(__name__)

HURRIED_WAIT_S = 0.5


class RecordsRefused(SinkError):
    """The far end works, but will never take these records."""


class RemoteSession(Protocol):
    """One connection. `send` returns when the far end has all records and raises SinkError if it may
    not have; `lost` waits until the connection breaks, then raises SinkError."""

    async def send(self, records: Sequence[Spooled]) -> None: ...

    async def lost(self) -> None: ...


class Remote(Protocol):
    """A far end: connecting raises SinkError, and shows that it works where `greets`; at most
    `most_records` are sent at once. `tell` says in which state a source is, to ends that publish it."""

    name: str
    most_records: int
    greets: bool

    def session(self) -> AbstractAsyncContextManager[RemoteSession]: ...

    def tell(self, source: str, state: str) -> None: ...


class Courier:
    """Sends what is in `spool`, oldest first, each record until it has arrived at least once.

    A record that is refused on its own is given up, so that it does not hold all others.
    """

    def __init__(self, spool: Spool, remote: Remote, clock: Clock, outage: Outage | None = None) -> None:
        self._spool = spool
        self._remote = remote
        self._clock = clock
        self._outage = outage or Outage()
        self._most_records = remote.most_records
        self._sent = 0
        self._refused = 0
        self._more = anyio.Event()
        self._finishing = anyio.Event()

    async def run(self) -> None:
        """Carry until `finish()` was called and the spool is empty."""
        while not (self._finishing.is_set() and not self._spool.waiting):
            try:
                async with self._remote.session() as session:
                    if self._remote.greets and not self._spool.waiting:
                        self._say_it_works()
                    await first_of(partial(self._carry, session), session.lost)
            except Exception as error:  # whatever a far end makes a library do, records must go on
                await self._pause(error)

    def wake(self) -> None:
        """There is more in the spool."""
        self._more.set()

    def finish(self) -> None:
        """Nothing more will come."""
        self._finishing.set()
        self._more.set()

    def statistics(self) -> SinkStatistics:
        """What became of the records so far."""
        in_memory = self._spool.in_memory
        return SinkStatistics(
            self._remote.name,
            self._sent,
            waiting=in_memory,
            spooled=max(0, self._spool.waiting - in_memory),
            given_up=self._spool.given_up + self._refused,
            failing_since=self._outage.since,
            last_error=self._outage.last_error,
        )

    async def _carry(self, session: RemoteSession) -> None:
        while True:
            more = self._more
            if await self._carry_one(session):
                continue
            if self._finishing.is_set():
                return
            await more.wait()
            self._more = anyio.Event()

    async def _carry_one(self, session: RemoteSession) -> bool:
        """Send one parcel; False when there is none."""
        parcel = self._spool.read(self._most_records)
        if parcel is None:
            return False
        try:
            await session.send(parcel.records)
        except RecordsRefused as error:
            if len(parcel.records) > 1:
                self._most_records = max(1, len(parcel.records) // 2)
                return True
            self._refused += self._spool.acknowledge(parcel)
            clip_id = parcel.records[0].fields["clip_id"]
            fields = {"sink": self._remote.name, "clip": clip_id}
            log.warning("%s; the record of %s is given up", error, clip_id, extra=fields)
        else:
            self._spool.acknowledge(parcel)
            self._sent += len(parcel.records)
        self._most_records = min(2 * self._most_records, self._remote.most_records)
        self._say_it_works()
        return True

    def _say_it_works(self) -> None:
        lasted_s = self._outage.over(self._clock.now())
        if lasted_s is not None:
            name = self._remote.name
            log.warning("%s: works again after %.0f s", name, lasted_s, extra={"sink": name})

    async def _pause(self, error: Exception) -> None:
        said = str(error) if isinstance(error, SinkError) else f"{self._remote.name}: {type(error).__name__}"
        now = self._clock.now()
        wait_s = self._outage.failed(now, said)
        if self._outage.to_say(now):
            waiting, folder = self._spool.waiting, self._spool.folder
            log.warning("%s; %d records wait in %s", said, waiting, folder, extra={"sink": self._remote.name})
        if self._finishing.is_set():
            await self._clock.sleep(min(wait_s, HURRIED_WAIT_S))
        else:
            await first_of(partial(self._clock.sleep, wait_s), self._finishing.wait)


async def first_of(*works: Callable[[], Awaitable[object]]) -> None:
    """Run `works` until one of them ends, then cancel the others; raises what ended it, unwrapped."""
    errors: list[Exception] = []

    async def run(work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except Exception as error:
            errors.append(error)
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for work in works:
            group.start_soon(run, work)
    if errors:
        raise errors[0]
