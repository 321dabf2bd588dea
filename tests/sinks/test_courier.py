from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from pipeline.clock import ManualClock
from sinks.courier import Courier, RecordsRefused, first_of
from sinks.outage import Outage
from sinks.record import to_line
from sinks.spool import Spool
from tests.settled import settled
from tests.sinks.ends import FlakyRemote
from tests.sinks.samples import numbered


class Round:
    """A courier under way, and what a test turns."""

    def __init__(self, folder: Path, remote: FlakyRemote) -> None:
        self.clock = ManualClock(1000.0)
        self.remote = remote
        self.spool = Spool(folder, 1_000_000, self.clock)
        self.spool.open()
        self.courier = Courier(self.spool, remote, self.clock, Outage(first_s=2.0, longest_s=8.0))

    async def add(self, *seqs: int) -> None:
        for seq in seqs:
            self.spool.append(to_line(numbered(seq)))
        self.courier.wake()
        await settled()

    async def later(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await settled()


@asynccontextmanager
async def under_way(folder: Path, **remote: object):
    end = FlakyRemote()
    for name, value in remote.items():
        setattr(end, name, value)
    way = Round(folder, end)
    async with anyio.create_task_group() as group:
        group.start_soon(way.courier.run)
        await settled()
        yield way
        group.cancel_scope.cancel()
    way.spool.close()


async def test_what_is_spooled_arrives_in_order_and_leaves_the_spool(tmp_path):
    async with under_way(tmp_path) as way:
        await way.add(*range(11))
        assert way.remote.seqs == list(range(11))
        await way.add(11)
        assert way.remote.seqs[-1] == 11
        assert (way.spool.waiting, way.remote.sessions) == (0, 1)
        assert way.courier.statistics().written == 12


@pytest.mark.parametrize("outage", ["there", "taking"])
async def test_an_outage_loses_nothing_and_is_told(tmp_path, outage, caplog):
    async with under_way(tmp_path, **{outage: False}) as way:
        await way.add(*range(9))
        for _ in range(10):
            await way.later(8.0)
        now = way.courier.statistics()
        assert (now.spooled, now.written) == (9, 0)
        assert now.failing_since == 1000.0
        setattr(way.remote, outage, True)
        await way.later(8.0)
        assert way.remote.seqs == list(range(9))
        assert way.courier.statistics().failing_since is None
    assert len([message for message in caplog.messages if "records wait in" in message]) == 2
    assert caplog.messages[-1] == "far://end: works again after 88 s"
    assert {record.sink for record in caplog.records} == {"far://end"}


async def test_attempts_become_rarer(tmp_path):
    async with under_way(tmp_path) as way:
        way.remote.there = False
        way.remote.cut.set()
        await settled()
        assert way.courier.statistics().last_error == "far://end: gone"
        way.remote.there = True
        await way.later(0.9)
        assert way.remote.sessions == 1
        await way.later(1.1)
        assert way.remote.sessions == 2


async def test_a_connection_that_breaks_while_nothing_is_sent_is_made_anew(tmp_path):
    async with under_way(tmp_path) as way:
        way.remote.cut.set()
        await settled()
        assert way.courier.statistics().failing_since == 1000.0
        await way.later(2.0)
        assert way.remote.sessions == 2
        assert way.courier.statistics().failing_since is None


async def test_a_connection_that_breaks_while_an_answer_is_due_sends_again(tmp_path):
    async with under_way(tmp_path, answers=False) as way:
        await way.add(0, 1)
        way.remote.answers = True
        way.remote.cut.set()
        await settled()
        await way.later(2.0)
        assert way.remote.seqs == [0, 1]


async def test_one_record_that_is_refused_is_given_up_and_no_other(tmp_path, caplog):
    async with under_way(tmp_path, poison={5, 6}, refusal=RecordsRefused) as way:
        await way.add(*range(12))
        assert way.remote.seqs == [0, 1, 2, 3, 4, *range(7, 12)]
        now = way.courier.statistics()
        assert (now.given_up, now.written, now.spooled) == (2, 10, 0)
    assert "the record of abseiling/000005 is given up" in caplog.text
    given_up = [(record.sink, record.clip) for record in caplog.records]
    assert given_up == [("far://end", f"abseiling/00000{seq}") for seq in (5, 6)]


async def test_an_error_that_nobody_foresaw_is_an_outage_too(tmp_path):
    async with under_way(tmp_path) as way:
        send, way.remote.send = way.remote.send, None
        await way.add(0)
        assert way.courier.statistics().last_error == "far://end: TypeError"
        way.remote.send = send
        await way.later(2.0)
        assert way.remote.seqs == [0]


async def test_finishing_sends_the_rest_and_ends(tmp_path):
    way = Round(tmp_path, FlakyRemote())
    await way.add(*range(6))
    way.courier.finish()
    with anyio.fail_after(10):
        await way.courier.run()
    assert way.remote.seqs == list(range(6))
    assert way.remote.sessions == 1


async def test_finishing_with_nothing_to_send_connects_to_nobody(tmp_path):
    way = Round(tmp_path, FlakyRemote())
    way.courier.finish()
    with anyio.fail_after(10):
        await way.courier.run()
    assert way.remote.sessions == 0


async def test_finishing_in_an_outage_tries_at_once_and_goes_on_trying(tmp_path):
    async with under_way(tmp_path, there=False) as way:
        await way.add(0)
        way.remote.there = True
        way.courier.finish()
        await settled()
        assert way.remote.seqs == [0]


async def test_the_first_work_to_end_ends_the_others_and_its_error_comes_out_as_itself():
    ended = []

    async def endless():
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("endless")

    async def broken():
        raise KeyError("x")

    await first_of(anyio.lowlevel.checkpoint, endless)
    with pytest.raises(KeyError):
        await first_of(broken, endless)
    assert ended == ["endless", "endless"]
