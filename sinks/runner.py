"""One sink on its own thread, so that its outage stalls nobody."""

import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Thread

from pipeline.clock import Clock, SystemClock
from pipeline.errors import SinkError
from pipeline.items import Prediction
from sinks.base import Announces, EndsBy, Remembers, Sink
from sinks.grace import grace_left_s
from sinks.outage import Outage, SinkStatistics
from sinks.record import to_line

log = logging.getLogger(__name__)

ABANDON_S = 1.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait in memory, and what happens beyond: the oldest is given up, or the run fails.
    `forgiven` makes what was lost by the end no error of the run."""

    most_records: int = 10_000
    most_bytes: int = 64_000_000
    give_up: bool = False
    forgiven: bool = False


@dataclass(frozen=True, slots=True)
class _Held:
    prediction: Prediction
    num_bytes: int


class SinkRunner:
    """Takes records without blocking and hands them to `sink` in order, trying each until it is in.

    Beyond `bounds`, `write()` raises SinkError or gives the oldest up. `close()` goes on for `grace_s`,
    then raises SinkError if records are left or had to be given up (or, if that is forgiven, says so).
    `behind` adds the numbers of what lies behind the sink to `statistics()`.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        *,
        bounds: Bounds | None = None,
        grace_s: float = 5.0,
        clock: Clock | None = None,
        outage: Outage | None = None,
        behind: Callable[[], SinkStatistics] | None = None,
    ) -> None:
        self.name = name
        self._sink = sink
        self._bounds = bounds or Bounds()
        self._grace_s = grace_s
        self._ends = math.inf
        self._clock = clock or SystemClock()
        self._outage = outage or Outage()
        self._behind = behind
        self._queue: deque[_Held] = deque()
        self._current: _Held | None = None
        self._num_bytes = 0
        self._written = 0
        self._given_up = self._overflow = 0
        self._hopeless: str | None = None
        self._closing = self._hurried = self._abandoned = False
        self._changed = Condition()
        self._thread: Thread | None = None

    def open(self) -> None:
        """Open the sink here, so that what is wrong is known at once; then start its thread."""
        self._sink.open()
        self._thread = Thread(target=self._run, name=f"sink {self.name}", daemon=True)
        self._thread.start()

    def write(self, prediction: Prediction) -> None:
        """Take a record; SinkError when the bounds are reached or the sink can never work again."""
        held = _Held(prediction, len(to_line(prediction)))
        with self._changed:
            if self._hopeless is not None:
                raise SinkError(self._hopeless)
            while self._full(held.num_bytes):
                self._make_room()
            self._queue.append(held)
            self._num_bytes += held.num_bytes
            self._changed.notify_all()

    def next_seq(self, source: str) -> int:
        """The number after the last clip of a source that earlier runs left in the sink; before any write."""
        return self._sink.next_seq(source) if isinstance(self._sink, Remembers) else 0

    def tell(self, source: str, state: str) -> None:
        """Let the sink publish the state of a source, if it is one that does."""
        if isinstance(self._sink, Announces):
            self._sink.tell(source, state)

    def end_by(self, ends: float) -> None:
        """Let no grace go on beyond this time of the clock, but for the least that an end takes."""
        self._ends = ends
        if isinstance(self._sink, EndsBy):
            self._sink.end_by(ends)

    def close(self) -> None:
        """Write what waits for as long as the grace allows, then let go of the sink."""
        if self._thread is None:
            return
        with self._changed:
            self._closing = self._hurried = True
            self._changed.notify_all()
        self._thread.join(grace_left_s(self._grace_s, self._ends, self._clock.now()))
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
        self._thread.join(ABANDON_S)
        if not self._thread.is_alive():  # else it hangs in the system with the sink in its hands
            self._sink.close()
        self._thread = None
        self._account_for_the_rest()

    def statistics(self) -> SinkStatistics:
        """What became of the records so far; any thread may ask."""
        with self._changed:
            own = SinkStatistics(
                self.name,
                self._written,
                waiting=self._waiting,
                given_up=self._given_up,
                failing_since=self._outage.since,
                last_error=self._outage.last_error,
            )
        return own.behind(self._behind()) if self._behind else own

    @property
    def _waiting(self) -> int:
        return len(self._queue) + (self._current is not None)

    def _full(self, num_bytes: int) -> bool:
        most = self._bounds
        return bool(self._queue) and (
            self._waiting >= most.most_records or self._num_bytes + num_bytes > most.most_bytes
        )

    def _make_room(self) -> None:
        if not self._bounds.give_up:
            raise SinkError(
                f"{self._why()}; {self._waiting} records wait in memory and no more can "
                f"(at most {self._bounds.most_records}, {self._bounds.most_bytes} bytes)"
            )
        self._num_bytes -= self._queue.popleft().num_bytes
        self._given_up += 1
        self._overflow += 1

    def _why(self) -> str:
        return self._outage.last_error or f"{self.name}: too slow"

    def _run(self) -> None:
        while (held := self._next()) is not None and self._deliver(held):
            pass

    def _next(self) -> _Held | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            self._current = self._queue.popleft() if self._queue and not self._abandoned else None
            return self._current

    def _deliver(self, held: _Held) -> bool:
        """Try until the record is in; False when nobody waits for it any more."""
        while True:
            try:
                self._sink.write(held.prediction)
            except SinkError as error:
                if not self._try_again(error):
                    return False
            except Exception:  # a record that breaks its sink is not to break the next
                clip_id = held.prediction.clip_id
                fields = {"sink": self.name, "clip": clip_id}
                log.exception("%s: the record of %s is given up", self.name, clip_id, extra=fields)
                self._settle(held, written=False)
                return True
            else:
                self._settle(held, written=True)
                return True

    def _settle(self, held: _Held, written: bool) -> None:
        with self._changed:
            self._current = None
            self._num_bytes -= held.num_bytes
            self._written += written
            self._given_up += not written
            lasted_s = self._outage.over(self._clock.now())
        if lasted_s is not None:
            log.warning("%s: works again after %.0f s", self.name, lasted_s, extra={"sink": self.name})

    def _try_again(self, error: SinkError) -> bool:
        """Wait for the next attempt; False when there is to be none."""
        with self._changed:
            now = self._clock.now()
            wait_s = self._outage.failed(now, str(error))
            if isinstance(error.__cause__, BrokenPipeError):
                self._hopeless = str(error)
                return False
            if self._outage.to_say(now):
                log.warning("%s; %d records wait in memory", error, self._waiting, extra={"sink": self.name})
            self._changed.wait_for(lambda: self._hurried or self._abandoned, wait_s)
            self._hurried = False
            return not self._abandoned

    def _account_for_the_rest(self) -> None:
        now = self.statistics()
        lost = now.waiting + self._overflow
        if not lost:
            return
        said = f"{now.last_error or self._why()}; {lost} records were not written"
        if self._bounds.give_up:
            with self._changed:
                self._given_up += self._waiting
                self._queue.clear()
        if not self._bounds.forgiven:
            raise SinkError(said)
        log.warning("%s", said, extra={"sink": self.name})
