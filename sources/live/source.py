"""A camera as a source: its reading thread, and frames that go on over every connection."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

from pipeline.clock import Clock
from pipeline.errors import SourceError, StreamLost, in_one_line
from pipeline.items import Frame, SourceBreak
from sources.live.backoff import Backoff
from sources.live.intake import Intake, SceneFrame
from sources.live.mailbox import Mailbox
from sources.live.reader import LivePicture
from sources.live.states import SourceStates, SourceStatus

log = logging.getLogger(__name__)

# Two seconds of a fast camera: who is slower than that for longer is better off with the newest.
MOST_WAITING = 64
LOOK_S = 0.2
# A connection that lasted this long was a good one; the next wait is short again.
GOOD_S = 5.0
# A thread that hangs in a driver or in a look-up of a name must not hold up the end of the program.
JOIN_S = 2.0
# A pause in what is seen, in seconds and in frames of a slow camera, after which a new scene begins.
GAP_S = 0.5
GAP_FRAMES = 5
# After so long without a frame nobody waits for one to see the pause: a network that only holds frames
# up, and then brings all of them, is quicker.
QUIET_S = 2.0

Connect = Callable[[], Iterator[LivePicture]]


class LiveSource:
    """Frames of a camera for as long as there is anybody to take them.

    `connect` makes one connection; it ends when the stream is over for good, and raises StreamLost when
    it broke off: then a new one is made, after a wait by `backoff`, and so after any other error. One
    thread connects and reads without ever waiting for `frames()`; what that does not take in time is
    dropped and counted. `patience_s`: how long to try in vain before SourceError; None tries for ever.
    """

    def __init__(
        self,
        name: str,
        *,
        connect: Connect,
        intake: Intake,
        states: SourceStates,
        backoff: Backoff,
        clock: Clock,
        stop: threading.Event,
        patience_s: float | None = None,
    ) -> None:
        self.name = name
        self._connect, self._intake, self._states, self._backoff = connect, intake, states, backoff
        self._clock = clock
        self._stop = stop
        self._patience_s = patience_s
        self._frame_at = clock.now()
        self._mailbox: Mailbox[SceneFrame] = Mailbox(MOST_WAITING)
        self._failure: BaseException | None = None

    @property
    def rate(self) -> float | None:
        """Frames a second, as measured; None until the first frame leaves."""
        return self._intake.rate

    def status(self) -> SourceStatus:
        """How the source stands; may be called from any thread, at any time."""
        return self._states.status(self._clock.now())

    def frames(self) -> Iterator[Frame | SourceBreak]:
        """Frames, and a break wherever the next frame belongs to no common clip; once only."""
        thread = threading.Thread(target=self._read_on, name=f"camera {self.name}", daemon=True)
        thread.start()
        try:
            yield from self._take_all()
            if self._failure is not None:
                raise self._failure
        finally:
            self.close()
            thread.join(JOIN_S)

    def close(self) -> None:
        """End `frames()` soon; may be called from any thread."""
        self._stop.set()
        self._mailbox.close()

    def _take_all(self) -> Iterator[Frame | SourceBreak]:
        last: SceneFrame | None = None
        taken_at = self._clock.now()
        while not self._stop.is_set() and not self._mailbox.drained:
            item = self._mailbox.get(LOOK_S)
            self.status()
            reason = self._break_between(last, item, self._clock.now() - taken_at)
            if last is not None and reason is not None:
                yield SourceBreak(self.name, reason)
                last = None
            if item is not None:
                taken_at = self._clock.now()
                yield item.frame
                last = item
        if last is not None and self._stop.is_set():
            yield SourceBreak(self.name, "closed", closed=True)

    def _break_between(self, last: SceneFrame | None, item: SceneFrame | None, quiet_s: float) -> str | None:
        if last is None:
            return None
        if last.scene != (self._intake.scene if item is None else item.scene):
            return self._intake.reason
        pause_s, most_s = (quiet_s, QUIET_S) if item is None else (item.frame.pts_s - last.frame.pts_s, GAP_S)
        long = pause_s > max(most_s, GAP_FRAMES / (self.rate or 1.0))
        return f"no frame for {pause_s:.1f} s" if long else None

    def _read_on(self) -> None:
        try:
            while not self._stop.is_set():
                lost = self._read_one()
                if lost is None:
                    break
                self._wait_after(lost)
        except BaseException as error:  # a bug must reach whoever takes the frames
            self._failure = error
            self._states.gave_up(self._clock.now(), str(error))
        finally:
            self._put(self._intake.finish())
            self._states.ended(self._clock.now())
            self._mailbox.close()

    def _read_one(self) -> StreamLost | None:
        """Read one connection; what broke it off, or None when there will be no other."""
        self._intake.connected()
        began_at: float | None = None
        try:
            with closing(self._connect()) as pictures:  # type: ignore[type-var]
                for picture in pictures:
                    self._put(self._intake.take(picture))
                    self._frame_at = picture.arrived_at
                    began_at = began_at or picture.arrived_at
                    if picture.arrived_at - began_at > GOOD_S:
                        self._backoff.over()
        except StreamLost as lost:
            return lost
        except Exception as error:  # whatever one camera's pictures bring about ends no other source
            log.debug("%s: a connection ended in an error", self.name, exc_info=True)
            return StreamLost(self.name, in_one_line(error))
        return None

    def _wait_after(self, lost: StreamLost) -> None:
        now = self._clock.now()
        self._intake.broke_off(lost.reason)
        if self._patience_s is not None and now - self._frame_at > self._patience_s:
            raise SourceError(
                self.name, f"gave up after {self._patience_s:g} s without a frame ({lost.reason})"
            )
        self._states.lost(now, lost.reason, lost.refused)
        wait_s = self._backoff.next_wait(lost.refused)
        log.info("%s: next attempt in %.2f s", self.name, wait_s, extra={"source": self.name})
        self._stop.wait(wait_s)

    def _put(self, items: list[SceneFrame]) -> None:
        for item in items:
            self._states.count("dropped", self._mailbox.put(item))
