"""Round trips beside the traffic."""

import pytest

from pipeline.errors import LinkLost
from transport.probes import Probes


async def test_every_probe_gets_its_own_time() -> None:
    probes = Probes()
    first, second = probes.begin(1.0), probes.begin(2.0)
    probes.answered(second, 2.5)
    probes.answered(first, 4.0)
    assert await probes.seconds(first) == 3.0
    assert await probes.seconds(second) == 0.5


async def test_a_reply_that_nobody_waits_for_is_nothing() -> None:
    Probes().answered(9, 1.0)


async def test_a_lost_link_ends_the_wait() -> None:
    probes = Probes()
    nonce = probes.begin(1.0)
    probes.link_lost()
    with pytest.raises(LinkLost):
        await probes.seconds(nonce)
