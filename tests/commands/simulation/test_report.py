import pytest

from commands.simulation import report
from commands.simulation.contestants import Contestant, Entry, Rules
from commands.simulation.figures import bars
from commands.simulation.report import figures_of, page, steady
from scheduling.traces import generate_lte
from tests.commands.simulation.test_comparison import row
from tests.scheduling.simulation.setups import parsed

TASK = parsed().tasks[0]


@pytest.fixture(autouse=True)
def few_bandwidths(monkeypatch):
    monkeypatch.setattr(report, "STEADY_MBPS", (1, 4, 10, 100))


def entry(name: str, codecs="paper") -> Entry:
    return Entry(Contestant(name, codecs), TASK, Rules())


def test_a_page_needs_nothing_else_and_runs_no_text_as_code():
    figures = [bars("still", [row("</script><script>alert(1)", 1.0)]) for _ in range(2)]
    text = page("<b>", "a < b", figures)
    assert text.count("plotly.js v") == 1
    assert "<b>" not in text and "a &lt; b" in text
    assert "</script><script>alert(1)" not in text


def test_a_task_has_three_figures_of_the_papers_policies_and_janus_plus():
    entries = [entry("janus"), entry("janus", "encoded"), entry("janus+", "every"), entry("oracle", "every")]
    rows = [row("janus", 1.0, task="still"), row("janus", 1.0, task="another")]
    trace = generate_lte(1, 5)
    shown, over_time, constant = figures_of(entries, rows, trace, (30.0, 30.0))
    assert len({bar.name for bar in shown.data}) == 1
    assert {line.name for line in over_time.data} == {"bandwidth", "janus (paper)", "janus+ (every)"}
    assert {line.name for line in constant.data} == {"janus (paper)", "janus+ (every)"}


def test_more_bandwidth_never_makes_the_cloud_slower_or_janus_prune_more():
    cloud, janus = steady(entry("cloud-only"), 20), steady(entry("janus"), 20)
    assert [point.mbps for point in cloud] == [1, 4, 10, 100]
    latencies = [point.latency_ms for point in cloud]
    assert latencies == sorted(latencies, reverse=True)
    assert all(abs(point.split) == 0 for point in cloud)
    assert janus[0].alpha >= janus[-1].alpha
    assert janus[0].split > janus[-1].split
