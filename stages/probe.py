"""Probe: small messages keep the link's estimate alive while no clip crosses it."""

from pipeline.clock import Clock
from pipeline.errors import LinkLost
from scheduling.situation import Situation
from transport.client import CloudClient

STEP_S = 0.1


class Probe:
    """Sends a probe whenever the link's tracker wants one; without it a plan that stays on the device
    would never be undone."""

    def __init__(self, client: CloudClient, situation: Situation, clock: Clock) -> None:
        self._client = client
        self._situation = situation
        self._clock = clock

    async def run(self) -> None:
        """Look every tenth of a second, for ever."""
        while True:
            await self._clock.sleep(STEP_S)
            num_bytes = self._situation.link.probe_due(self._clock.now())
            if num_bytes is not None and self._client.connected:
                await self._probe(num_bytes)

    async def _probe(self, num_bytes: int) -> None:
        try:
            await self._client.probe(num_bytes)
            await self._client.probe()
        except LinkLost:
            return  # the client mends the link, or ends the run
