"""What a metric is: its name, what it says and its labels, told in one place."""

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from commands.operations.counting import Histogram, Labels

BUCKETS_S = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75),
    *(1.0, 1.5, 2.5, 5.0, 10.0),
)


@dataclass(frozen=True, slots=True)
class Number:
    """A counter, which only ever rises, if its name ends in _total; else how something stands now."""

    name: str
    help: str
    labels: Labels = ()

    def of(self, samples: Iterable[tuple[Labels, float]]) -> Metric:
        """The metric with these values."""
        kind = CounterMetricFamily if self.name.endswith("_total") else GaugeMetricFamily
        family = kind(self.name, self.help, labels=self.labels)
        for labels, value in samples:
            family.add_metric(labels, value)
        return family

    def at(self, value: float) -> Metric:
        """The metric with one value and no labels."""
        return self.of([((), value)])


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many values were at most so great."""

    name: str
    help: str
    labels: Labels = ()

    def of(self, samples: Iterable[tuple[Labels, Histogram]]) -> Metric:
        """The metric with these histograms."""
        family = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        for labels, histogram in samples:
            family.add_metric(labels, histogram.buckets(), histogram.sum)
        return family

    def at(self, histogram: Histogram) -> Metric:
        """The metric with one histogram and no labels."""
        return self.of([((), histogram)])


AnyMetric = Number | Distribution
