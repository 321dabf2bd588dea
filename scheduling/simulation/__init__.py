"""What would have happened: the same policies over a recorded link, clip by clip."""

from scheduling.simulation.engine import Outcome, Run, simulate

__all__ = ["Outcome", "Run", "simulate"]
