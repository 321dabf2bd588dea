"""How full a pipeline's channels are."""

from collections.abc import Iterator, Mapping

from anyio.streams.memory import MemoryObjectStreamStatistics
from prometheus_client.core import Metric

from commands.operations.metric import AnyMetric, Number

ITEMS = Number("janus_queue_items", "What waits in front of a stage.", ("stage",))
CAPACITY = Number("janus_queue_capacity_items", "How much may wait in front of a stage.", ("stage",))

QUEUES: tuple[AnyMetric, ...] = (ITEMS, CAPACITY)


def queue_metrics(statistics: Mapping[str, MemoryObjectStreamStatistics]) -> Iterator[Metric]:
    """The depth and the capacity of each channel, by the stage behind it."""
    yield ITEMS.of(((stage,), found.current_buffer_used) for stage, found in statistics.items())
    yield CAPACITY.of(((stage,), found.max_buffer_size) for stage, found in statistics.items())
