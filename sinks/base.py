"""What every sink of predictions promises."""

from typing import Protocol, runtime_checkable

from pipeline.items import Prediction


class Sink(Protocol):
    """Takes the records of a run. All three verbs block briefly, are called from one thread at a
    time, and raise SinkError (`open()` also ConfigError) when results cannot be written."""

    def open(self) -> None: ...

    def write(self, prediction: Prediction) -> None: ...

    def close(self) -> None: ...


@runtime_checkable
class Announces(Protocol):
    """A sink that also publishes the state of each source; any thread may call."""

    def tell(self, source: str, state: str) -> None: ...


@runtime_checkable
class EndsBy(Protocol):
    """A sink with a grace of its own at its end, which is not to go on beyond a time of the monotonic clock;
    any thread may call, before `close()`."""

    def end_by(self, ends: float) -> None: ...


@runtime_checkable
class Remembers(Protocol):
    """A sink that holds the records of earlier runs: the number after a source's last clip in it, 0 if there
    is none; to be asked once it is open."""

    def next_seq(self, source: str) -> int: ...
