"""What is known of a live source, and how it changes: no I/O, no thread of its own."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pipeline.redact import redacted


class State(StrEnum):
    """Where a live source stands."""

    CONNECTING = "connecting"  # no frame has ever come
    RUNNING = "running"
    STALLED = "stalled"  # connected, yet nothing comes
    RECONNECTING = "reconnecting"
    FAILED = "failed"  # refused us, and is asked again seldom; or given up for good
    ENDED = "ended"


_LIVE = (State.RUNNING, State.STALLED)


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One look at a live source. `since` is on the device's monotonic clock. `frames` came whole;
    `dropped` of them found no room or came too fast; `corrupt` did not come whole; `jumps` counts
    times that the camera's clock jumped, `warnings` how often something was odd. `last_error` holds no
    secret."""

    source: str
    state: State
    since: float
    reconnects: int = 0
    frames: int = 0
    dropped: int = 0
    corrupt: int = 0
    jumps: int = 0
    warnings: int = 0
    last_error: str | None = None


OnChange = Callable[[SourceStatus, str | None], None]


class SourceStates:
    """Hears what happens to a source and says how it stands; every method may be called from any thread.

    Running begins with a frame, never with a connection. Without a packet for `stall_s` the source is
    stalled, whoever looks and whatever its reading thread is stuck in. `on_change` hears of every new
    state and of every new error, with what went wrong if something did, in the thread that brought it.
    """

    def __init__(
        self,
        source: str,
        now: float,
        stall_s: float,
        on_change: OnChange = lambda status, news: None,
    ) -> None:
        self._source = source
        self._stall_s = stall_s
        self._on_change = on_change
        self._lock = threading.RLock()
        self._state, self._since, self._heard_at = State.CONNECTING, now, now
        self._closed = False
        self._connections = 0
        self._error: str | None = None
        self._counts = dict.fromkeys(("frames", "dropped", "corrupt", "jumps", "warnings"), 0)

    def packet(self, now: float) -> None:
        """Something came."""
        with self._lock:
            self._heard_at = now
            if self._state is State.STALLED:
                self._to(State.RUNNING, now)

    def frame(self, now: float) -> None:
        """A frame came whole."""
        with self._lock:
            self._heard_at = now
            self._counts["frames"] += 1
            if self._state not in _LIVE:
                self._connections += 1
            self._to(State.RUNNING, now)

    def lost(self, now: float, error: str, refused: bool = False) -> None:
        """The connection broke off or was not made; `refused`: the camera answered, and said no."""
        with self._lock:
            waiting = State.RECONNECTING if self._connections else State.CONNECTING
            self._to(State.FAILED if refused else waiting, now, error)

    def gave_up(self, now: float, error: str) -> None:
        """Nobody will try again."""
        with self._lock:
            self._to(State.FAILED, now, error)
            self._closed = True

    def ended(self, now: float) -> None:
        """The stream came to its own end, or was closed by us."""
        with self._lock:
            self._to(State.ENDED, now)
            self._closed = True

    def count(self, what: str, number: int = 1) -> None:
        """Add to `dropped`, `corrupt` or `jumps`."""
        with self._lock:
            self._counts[what] += number

    def warn(self, now: float, what: str) -> None:
        """Something is odd, and the source goes on."""
        with self._lock:
            self._counts["warnings"] += 1
            self._to(self._state, now, what)

    def status(self, now: float) -> SourceStatus:
        """How the source stands at `now`."""
        with self._lock:
            if self._state is State.RUNNING and now - self._heard_at >= self._stall_s:
                self._to(State.STALLED, now, f"nothing came for {self._stall_s:g} s")
            return self._status()

    def _to(self, state: State, now: float, error: str | None = None) -> None:
        news = None if error is None else redacted(error)
        if self._closed or (state is self._state and news in (None, self._error)):
            return
        if state is not self._state:
            self._state, self._since = state, now
        self._error = news or self._error
        self._on_change(self._status(), news)

    def _status(self) -> SourceStatus:
        reconnects = max(0, self._connections - 1)
        return SourceStatus(
            self._source, self._state, self._since, reconnects, last_error=self._error, **self._counts
        )
