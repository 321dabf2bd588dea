import threading

import pytest

from pipeline.errors import SinkError
from sinks.together import opened
from tests.sinks.ends import FlakySink


class Ending(FlakySink):
    """Fails to open or to close when told to."""

    def __init__(self, name: str, opens: bool = True, closes: bool = True) -> None:
        super().__init__()
        self.name, self.opens, self.closes = name, opens, closes

    def open(self) -> None:
        if not self.opens:
            raise SinkError(f"{self.name}: does not open")
        super().open()

    def close(self) -> None:
        super().close()
        if not self.closes:
            raise SinkError(f"{self.name}: lost 3 records")


def test_all_are_open_in_the_body_and_closed_after_it():
    sinks = [Ending("a"), Ending("b")]
    with opened(sinks):
        assert all(sink.is_open for sink in sinks)
    assert not any(sink.is_open for sink in sinks)
    with opened([]):
        pass


def test_one_that_does_not_open_closes_those_before_it():
    sinks = [Ending("a"), Ending("b", opens=False), Ending("c")]
    with pytest.raises(SinkError, match="b: does not open"), opened(sinks):
        pytest.fail("the body must not run")
    assert not any(sink.is_open for sink in sinks)


def test_what_a_close_lost_is_an_error_and_the_others_close_all_the_same(caplog):
    sinks = [Ending("a", closes=False), Ending("b", closes=False), Ending("c")]
    with pytest.raises(SinkError, match="a: lost 3 records"), opened(sinks):
        pass
    assert not any(sink.is_open for sink in sinks)
    assert caplog.messages == ["b: lost 3 records"]


def test_the_error_of_the_body_comes_before_those_of_closing(caplog):
    with pytest.raises(KeyError), opened([Ending("a", closes=False)]):
        raise KeyError("x")
    assert caplog.messages == ["a: lost 3 records"]


def test_sinks_close_at_the_same_time():
    met = threading.Barrier(3, timeout=20)
    sinks = [FlakySink() for _ in range(3)]
    for sink in sinks:
        sink.close = met.wait
    with opened(sinks):
        pass
    assert not met.broken
