import signal

import anyio
import pytest

from commands.stopping import ending_on_signals
from pipeline.clock import ManualClock
from tests.settled import settled


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_asks_and_who_ends_in_time_is_left_to_end(number):
    asked = anyio.Event()
    async with ending_on_signals(asked.set, 5.0, ManualClock()):
        await settled()
        signal.raise_signal(number)
        with anyio.fail_after(5):
            await asked.wait()
        ended = True
    assert ended


@pytest.mark.parametrize("second", [True, False])
async def test_after_the_grace_or_a_second_signal_it_is_ended(second):
    clock, asked = ManualClock(), anyio.Event()
    reached_end = False
    with anyio.fail_after(5):
        async with ending_on_signals(asked.set, 5.0, clock):
            await settled()
            signal.raise_signal(signal.SIGTERM)
            await asked.wait()
            await settled()
            clock.advance(4.9)
            await settled()
            if second:
                signal.raise_signal(signal.SIGTERM)
            else:
                clock.advance(0.2)
            await anyio.sleep_forever()
            reached_end = True
    assert not reached_end


async def test_without_a_signal_nothing_happens_and_errors_come_out():
    with pytest.raises(ValueError, match="broken"):
        async with ending_on_signals(lambda: None, 5.0, ManualClock()):
            raise ValueError("broken")
