"""Policies: who decides the plan of a clip."""

from dataclasses import replace

from pipeline.errors import ConfigError
from pipeline.items import Clip, Plan


class FixedPolicy:
    """The same plan for every clip: the one that was asked for."""

    def __init__(self, plan: Plan, num_layers: int) -> None:
        """Raises ConfigError for a split outside 0..N + 1."""
        if not 0 <= plan.split <= num_layers + 1:
            raise ConfigError(
                f"split {plan.split} is outside 0 (all in the cloud) .. {num_layers + 1} (all on the device)"
            )
        self._plan = replace(plan, why="fixed")
        self.needs_cloud = plan.split <= num_layers

    def choose(self, clip: Clip) -> Plan:
        """The plan, whatever the clip."""
        return self._plan
