"""What is written for operators, held against what device and cloud really expose."""

import json
import re
from pathlib import Path

import anyio
import pytest

from commands.cloud import open_reception
from commands.device_pipeline import run_device
from commands.job import Job
from commands.operations.cloud_watch import CLOUD, CloudCounts, CloudWatch
from commands.operations.device_watch import DEVICE, DeviceWatch
from configs.settings import CloudSettings
from pipeline.clock import SystemClock
from sinks.runner import SinkRunner
from sources.base import FrameGeometry
from sources.live.make import live_source
from sources.live.url import parse_address
from stages.capture import capture
from tests.commands.link import Wire, pattern, setup_for
from tests.commands.machines import profile_for
from tests.commands.operations.pages import page_of
from tests.sinks.ends import FlakySink

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "operations"
BOARD = json.loads((FOLDER / "grafana.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
SAMPLE = re.compile(r"\b((?:janus|process)_\w+)(?:\{([^}]*)\})?")
FROM_PROMETHEUS = {"instance"}


@pytest.fixture(scope="module")
def exposed(model):
    """The families of metrics of a device that has run with a cloud and a camera, and of that cloud."""
    return anyio.run(_expose, model)


async def _expose(model):
    counts = CloudCounts()
    camera = live_source(parse_address("rtsp://127.0.0.1:9/cam"), "door", FrameGeometry(32), SystemClock())
    told = DeviceWatch([camera], [SinkRunner("out.jsonl", FlakySink())], SystemClock(), 10_000)
    async with (
        open_reception(CloudSettings(), model, SystemClock(), profile_for(model, 1e-3), counts) as reception,
        anyio.create_task_group() as tasks,
    ):
        wire = Wire(reception, tasks)
        source = pattern(model, 2)
        job = Job([capture(source)], [], live=True, on_record=told.record, on_start=told.begun)
        await run_device(setup_for(model, sla_ms=10_000), job, SystemClock(), wire.dial)
        pages = [page_of(told.look().collect()), page_of(CloudWatch(reception, counts).look().collect())]
        tasks.cancel_scope.cancel()
    return [family for page in pages for family in page.families]


@pytest.fixture(scope="module")
def samples(exposed):
    """The labels that each name of a sample has, and the values that were seen of them."""
    found = {}
    for family in exposed:
        name = name_of(family)
        behind = ("_bucket", "_sum", "_count") if family.type == "histogram" else ("",)
        for suffix in behind:
            found[name + suffix] = {label: set() for label in labels_of(name)}
        for sample in family.samples:
            for label, value in sample.labels.items():
                found[sample.name].setdefault(label, set()).add(value)
    return found


def name_of(family):
    return family.name + "_total" * (family.type == "counter")


def labels_of(name):
    """As declared: there may be no sample yet."""
    return next((set(metric.labels) for metric in (*DEVICE, *CLOUD) if metric.name == name), set())


def expressions():
    for panel in PANELS:
        for target in panel["targets"]:
            yield pytest.param(target["expr"], target["legendFormat"], id=f"{panel['id']}{target['refId']}")


def test_a_board_has_what_grafana_needs_to_import_it():
    assert BOARD["schemaVersion"] >= 36
    variables = {variable["name"]: variable for variable in BOARD["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    used = set(re.findall(r"\$\{?(\w+)", " ".join(each.values[0] for each in expressions())))
    assert used - {"__rate_interval"} <= set(variables)
    for part in [*PANELS, *(target for panel in PANELS for target in panel["targets"])]:
        assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_panels_have_numbers_of_their_own_and_units():
    numbers = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in PANELS)
    assert all(panel["title"] and panel["description"].endswith(".") for panel in PANELS)


def test_no_panel_lies_on_another_or_beyond_the_edge():
    taken = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize(("expression", "legend"), list(expressions()))
def test_every_metric_label_and_value_of_a_panel_is_there(expression, legend, samples):
    found = SAMPLE.findall(expression)
    assert found
    known = set(FROM_PROMETHEUS)
    for name, conditions in found:
        known |= set(samples[name])
        for label, value in re.findall(r'(\w+)!?[=~]+"([^"$]+)"', conditions):
            assert set(value.split("|")) <= samples[name][label]
        assert 'instance=~"$' in conditions
    grouped = {label for group in re.findall(r" by \(([^)]*)\)", expression) for label in group.split(", ")}
    assert grouped <= known
    assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= grouped


def test_every_metric_of_our_own_is_on_the_board(exposed):
    shown = {name for each in expressions() for name, _ in SAMPLE.findall(each.values[0])}
    for family in exposed:
        names = {family.name, f"{family.name}_total", f"{family.name}_bucket", f"{family.name}_sum"}
        assert names & shown or not family.name.startswith("janus_"), family.name


def test_variables_look_for_metrics_that_are_there(samples):
    asked = [
        re.findall(r"label_values\((\w+), instance\)", str(each)) for each in BOARD["templating"]["list"]
    ]
    assert {name for names in asked for name in names} <= set(samples)
    assert sum(map(bool, asked)) == 2


def test_the_table_names_exactly_what_is_exposed_with_labels_and_units(exposed):
    rows = re.findall(r"^\| `(\w+)` \|(.*?)\| ([\w /]+) \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    metrics = [row for row in rows if row[0].startswith(("janus_", "process_"))]
    written = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels, _ in metrics}
    assert len(written) == len(metrics)
    assert written == {name_of(family): labels_of(name_of(family)) for family in exposed}
    for name, _, unit in metrics:
        for suffix, right in (("_per_second", "bytes/s"), ("_seconds", "s"), ("_bytes", "bytes")):
            assert (unit == right) == name.removesuffix("_total").endswith(suffix), name
