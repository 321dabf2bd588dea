"""Pages of metrics, read as Prometheus reads them."""

from collections.abc import Iterable
from urllib.error import HTTPError
from urllib.request import urlopen

from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Page:
    """The samples of one scrape; `page("name", label="value")` is one of them."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self.samples: Samples = {}
        for family in self.families:
            for sample in family.samples:
                key = sample.name, tuple(sorted(sample.labels.items()))
                assert key not in self.samples, f"{key} is there twice, which Prometheus refuses"
                self.samples[key] = sample.value

    def __call__(self, name: str, **labels: str) -> float:
        return self.samples[name, tuple(sorted(labels.items()))]

    def has(self, name: str) -> bool:
        return any(sample == name for sample, _ in self.samples)

    @property
    def names(self) -> set[str]:
        """Of all samples; a histogram's without _bucket, _sum and _count."""
        return {
            family.name + "_total" * (family.type == "counter")
            for family in self.families
            if family.name.startswith("janus")
        }


def page_of(metrics: Iterable[Metric]) -> Page:
    class Collected:
        def collect(self) -> Iterable[Metric]:
            return metrics

    return Page(generate_latest(Collected()).decode())


def fetch(url: str) -> tuple[int, str]:
    """Status and body, whatever the status."""
    try:
        with urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as refusal:
        return refusal.code, refusal.read().decode()
