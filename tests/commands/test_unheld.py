import logging

import anyio
import pytest

from commands.unheld import warn_of_unheld
from tests.transport.world import TurnedClock

DIGESTS = ("a" * 64, "b" * 64, "c" * 64)


async def warnings_of(caplog, *looks):
    """What is said while the parts are held as `looks` say, one after another."""
    ahead = iter(looks)

    def holders():
        try:
            return [held or None for held in next(ahead)]
        except StopIteration:
            raise TimeoutError from None

    with (
        caplog.at_level(logging.WARNING, "commands.unheld"),
        pytest.raises(TimeoutError),
        anyio.fail_after(5),
    ):
        await warn_of_unheld(holders, DIGESTS, TurnedClock())
    return [record.message for record in caplog.records]


async def test_parts_that_nobody_holds_are_named_once_until_that_changes(caplog):
    second, both = (True, False, True), (True, False, False)
    said = await warnings_of(caplog, second, second, both, both, second, (True, True, True), second)
    assert said == [
        "nobody holds part 2 (bbbbbbbb); clips go without",
        "nobody holds part 2 (bbbbbbbb), part 3 (cccccccc); clips go without",
        "nobody holds part 2 (bbbbbbbb); clips go without",
        "every part is held",
        "nobody holds part 2 (bbbbbbbb); clips go without",
    ]


async def test_nothing_is_said_where_every_part_is_held(caplog):
    assert await warnings_of(caplog, *[(True, True, True)] * 5) == []
