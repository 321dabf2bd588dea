"""What is wrong with the camera at this moment, for all its clients alike."""

from pipeline.clock import Clock


class Trouble:
    """A camera that sends nothing for a while, or that is slow to describe itself."""

    def __init__(self, clock: Clock) -> None:
        self.late_describe_s = 0.0
        self._clock = clock
        self._frozen_until = clock.now()

    @property
    def frozen(self) -> bool:
        return self._clock.now() < self._frozen_until

    def freeze(self, seconds: float) -> None:
        """Send nothing for `seconds`; a freeze that lasts longer already goes on."""
        self._frozen_until = max(self._frozen_until, self._clock.now() + seconds)

    async def thawed(self) -> None:
        """Wait until something may be sent."""
        while self.frozen:
            await self._clock.sleep(self._frozen_until - self._clock.now())
