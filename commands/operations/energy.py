"""What the machine has taken, as its operator sees it."""

from prometheus_client.core import Metric

from commands.operations.metric import Number
from pipeline.energy.meter import EnergyMeter

ENERGY = Number("janus_energy_joules_total", "What the machine has taken, as far as it shows.", ("source",))


def energy_metric(energy: EnergyMeter) -> Metric:
    """What each source of `energy` has shown; it blocks while they are read."""
    return ENERGY.of(((source,), joules) for source, joules in energy.by_source().items())
