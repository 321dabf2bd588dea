"""Schedule: every clip gets the plan that its policy chooses."""

from typing import Protocol

from pipeline.clock import Clock
from pipeline.items import Clip, Plan, Planned


class Policy(Protocol):
    """Chooses a clip's plan."""

    def choose(self, clip: Clip) -> Plan: ...


class Schedule:
    """Asks the policy, and notes when."""

    def __init__(self, policy: Policy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock

    async def __call__(self, clip: Clip) -> Planned:
        return Planned(clip, self._policy.choose(clip), self._clock.now())
