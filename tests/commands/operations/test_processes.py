"""Health, readiness and metrics of real processes."""

import json
import re
import signal
import time

import pytest
from typer.testing import CliRunner

from main import app
from tests.commands.operations.pages import Page, fetch
from tests.commands.processes import cloud, only_line, start

METRICS = ("--metrics-port", 0)


def metrics_of(process):
    """Where a process says that its metrics are."""
    for line in process.stderr:
        if found := re.search(r"janus: metrics at (http://127\.0\.0\.1:\d+/metrics)\n", line):
            return found[1]
    raise AssertionError("it never said where its metrics are")


def until(url, enough, timeout_s=60):
    """The page of metrics once it is enough."""
    end = time.monotonic() + timeout_s
    while not enough(page := Page(fetch(url)[1])):
        assert time.monotonic() < end, page.samples
        time.sleep(0.1)
    return page


def test_a_device_and_its_cloud_tell_how_they_are_and_end_in_order():
    with cloud(*METRICS) as (far, url):
        far_metrics = metrics_of(far)
        assert fetch(far_metrics.replace("/metrics", "/readyz"))[0] == 200
        device = start(
            "device", "--source", "pattern:motions", "--split", 4, "--cloud", url, "-o", "-", *METRICS
        )
        try:
            near_metrics = metrics_of(device)
            near = until(near_metrics, lambda page: page("janus_clips_total", status="ok", ran="split") > 1)
            ready, body = fetch(near_metrics.replace("/metrics", "/readyz"))
            device.send_signal(signal.SIGTERM)
            out, error = device.communicate(timeout=60)
        finally:
            device.kill()
        there = until(far_metrics, lambda page: page("janus_cloud_sessions") == 0)
        far.send_signal(signal.SIGTERM)
        far.communicate(timeout=60)
    assert (ready, json.loads(body)["ready"]) == (200, True)
    assert near("janus_link_connected") == 1
    assert (device.returncode, far.returncode) == (0, 0), error
    assert there("janus_cloud_clips_total", outcome="ok") >= 2
    assert all(json.loads(line) for line in out.splitlines())


@pytest.mark.parametrize("verb", ["cloud", "device"])
def test_a_metrics_address_that_cannot_be_had_is_one_line_and_status_2(verb):
    ways = {"cloud": ("--port", "0"), "device": ("--source", "pattern:motions", "--device-only")}
    address = ("--metrics-port", "1", "--metrics-host", "192.0.2.1")
    result = CliRunner().invoke(app, [verb, *ways[verb], *address])
    assert result.exit_code == 2
    assert "--metrics-port 1: cannot listen on 192.0.2.1" in only_line(result.stderr)
