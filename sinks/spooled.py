"""A sink that may be away for long, with a spool in front of it and a courier on its own thread."""

import asyncio
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Event, Thread

import anyio

from pipeline.clock import Clock
from pipeline.errors import SinkError
from pipeline.items import Prediction
from sinks.courier import Courier, Remote, first_of
from sinks.grace import grace_left_s
from sinks.numbers import Numbers
from sinks.outage import Outage, SinkStatistics
from sinks.record import to_line
from sinks.spool import Spool

log = logging.getLogger(__name__)

HANG_S, HURRIED_HANG_S = 10.0, 1.5


class SpooledSink:
    """`write()` returns once the record is in `spool`, or waits in memory while its disk is full; a thread
    with its own event loop sends it on.

    `close()` sends what waits for at most `grace_s`; the rest stays in the spool for the next run. The last
    number of each source stays there, too, so that no number comes twice.
    """

    def __init__(
        self,
        spool: Spool,
        remote: Remote,
        clock: Clock,
        grace_s: float = 5.0,
        outage: Outage | None = None,
    ) -> None:
        self._spool = spool
        self._numbers = Numbers(spool.folder)
        spool.before_removal = self._numbers.keep
        self._remote = remote
        self._fields = {"sink": remote.name}
        self._clock = clock
        self._grace_s = grace_s
        self._ends = math.inf
        self._outage = outage
        self._disk = Outage()
        self._courier: Courier | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: anyio.Event | None = None
        self._started = Event()
        self._thread: Thread | None = None

    def open(self) -> None:
        """Open the spool and start to send; whether anybody is there shows later."""
        self._open_spool()
        self._start()

    def write(self, prediction: Prediction) -> None:
        """Keep one record until it has arrived; SinkError when the disk refuses and memory is full."""
        self._numbers.note(prediction.source, prediction.seq)
        self._spool.append(to_line(prediction))
        self._judge_disk()
        if self._courier is not None:
            self._on_loop(self._courier.wake)

    def next_seq(self, source: str) -> int:
        """The number after the last clip of a source that this or an earlier run put into the spool."""
        return self._numbers.next_seq(source)

    def tell(self, source: str, state: str) -> None:
        """Publish the state of a source as soon as there is a connection; only the latest counts."""
        self._on_loop(partial(self._remote.tell, source, state))

    def end_by(self, ends: float) -> None:
        """Let `close()` not go on beyond this time of the clock, but for the least that it takes."""
        self._ends = ends

    def close(self) -> None:
        """Send what waits while the grace lasts, and say what stays. What neither the far end nor the disk
        took still counts as waiting in memory."""
        if self._thread is None or self._closing is None:
            return
        self._on_loop(self._closing.set)
        hang_s = HANG_S if self._ends == math.inf else HURRIED_HANG_S
        self._thread.join(self._left_s() + hang_s)
        self._thread = None
        self._spool.close()
        if rest := self._spool.waiting - self._spool.in_memory:
            log.warning(
                "%s: %d records stay in %s; the next run sends them",
                self._remote.name,
                rest,
                self._spool.folder,
                extra=self._fields,
            )

    def statistics(self) -> SinkStatistics:
        """What became of the records so far; any thread may ask."""
        far = self._courier.statistics() if self._courier else SinkStatistics(self._remote.name)
        disk = SinkStatistics(
            self._remote.name, failing_since=self._disk.since, last_error=self._disk.last_error
        )
        return disk.behind(far)

    def _open_spool(self) -> None:
        self._spool.open()
        try:
            self._numbers.load()
            self._numbers.reserve()
        except OSError as error:
            self._spool.close()
            raise SinkError(f"{self._spool.folder}: cannot be used ({error.strerror})") from error
        if self._spool.cut_bytes:
            folder, cut_bytes = self._spool.folder, self._spool.cut_bytes
            log.warning("%s: cut %d bytes of a torn end", folder, cut_bytes, extra=self._fields)

    def _judge_disk(self) -> None:
        now, refusal = self._clock.now(), self._spool.refusal
        if refusal is None:
            lasted_s = self._disk.over(now)
            if lasted_s is not None:
                said = "%s: takes records again after %.0f s"
                log.warning(said, self._spool.folder, lasted_s, extra=self._fields)
            return
        self._disk.failed(now, refusal)
        if self._disk.to_say(now):
            log.warning("%s; they wait in memory", refusal, extra=self._fields)

    def _start(self) -> None:
        self._thread = Thread(target=self._serve, name=f"courier {self._remote.name}", daemon=True)
        self._thread.start()
        self._started.wait()

    def _serve(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._carry())

    async def _carry(self) -> None:
        self._loop = asyncio.get_running_loop()
        courier = self._courier = Courier(self._spool, self._remote, self._clock, self._outage)
        self._closing = anyio.Event()
        self._started.set()

        async def too_late() -> None:
            await self._finish(courier)
            await self._clock.sleep(self._left_s())

        await first_of(courier.run, too_late)

    def _left_s(self) -> float:
        return grace_left_s(self._grace_s, self._ends, self._clock.now())

    async def _finish(self, courier: Courier) -> None:
        if self._closing is not None:
            await self._closing.wait()
        courier.finish()

    def _on_loop(self, call: Callable[[], object]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the thread has ended
                self._loop.call_soon_threadsafe(call)
