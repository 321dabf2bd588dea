import json
import threading
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import anyio.to_thread
import pytest
from aiohttp import ClientSession
from yarl import URL

from commands.operations import server
from commands.operations.look import Look, Readiness
from commands.operations.metric import Number
from commands.operations.server import operated
from configs.settings import MetricsSettings
from pipeline.errors import ConfigError
from tests.commands.operations.pages import Page, fetch
from transport import front
from transport.listeners import listen

FREE = MetricsSettings(port=0)


class Program:
    """A program that can be looked at, and hangs while `free` is not set."""

    def __init__(self, ready=True):
        self.readiness = Readiness(ready, "because", ("a camera is lost",))
        self.free = threading.Event()
        self.free.set()
        self.threads = []

    def look(self):
        assert threading.current_thread() is threading.main_thread()
        return Look((Number("janus_one", "One.").at(1),), lambda: self.readiness, self._elsewhere)

    def _elsewhere(self):
        self.threads.append(threading.current_thread().name)
        self.free.wait(20)
        return [Number("janus_two_total", "Two.", ("of",)).of([(("a",), 2)])]


async def get(metrics, path):
    return await anyio.to_thread.run_sync(fetch, metrics.replace("/metrics", path))


async def test_metrics_are_taken_on_the_loop_and_told_by_a_thread():
    program = Program()
    async with operated(FREE, program) as metrics:
        status, body = await get(metrics, "/metrics")
    page = Page(body)
    assert (status, page("janus_one"), page("janus_two_total", of="a")) == (200, 1, 2)
    assert page("process_resident_memory_bytes") > 0
    assert program.threads == ["operations"]


async def test_prometheus_gets_the_format_that_it_asks_for():
    async with operated(FREE, Program()) as metrics, ClientSession() as session:
        for accept, kind in (("application/openmetrics-text;version=1.0.0", "openmetrics"), ("*/*", "plain")):
            async with session.get(metrics, headers={"Accept": accept}) as answer:
                assert kind in answer.headers["Content-Type"]
                assert (await answer.text()).endswith("# EOF\n") == (kind == "openmetrics")


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
async def test_readiness_is_a_status_and_says_why(ready, status):
    async with operated(FREE, Program(ready)) as metrics:
        assert await get(metrics, "/healthz") == (200, "ok\n")
        found, body = await get(metrics, "/readyz")
    assert found == status
    assert json.loads(body) == {"ready": ready, "why": "because", "degraded": ["a camera is lost"]}


async def test_what_hangs_holds_up_neither_the_loop_nor_health(monkeypatch):
    monkeypatch.setattr(server, "ANSWER_S", 0.2)
    program = Program()
    program.free.clear()
    async with operated(FREE, program) as metrics:
        assert (await get(metrics, "/metrics"))[0] == 503
        assert await get(metrics, "/healthz") == (200, "ok\n")
        program.free.set()
        assert (await get(metrics, "/metrics"))[0] == 200


async def test_other_pages_and_other_verbs_are_refused():
    async with operated(FREE, Program()) as metrics:
        assert (await get(metrics, "/"))[0] == 404
        assert (await get(metrics, "/metrics/../../etc/passwd"))[0] == 404


async def test_without_a_port_nothing_listens():
    async with operated(MetricsSettings(), Program()) as metrics:
        assert metrics is None


async def test_a_port_that_is_taken_is_one_line():
    async with operated(FREE, Program()) as metrics:
        taken = MetricsSettings(port=int(metrics.split(":")[2].split("/")[0]))
        with pytest.raises(
            ConfigError, match=r"^--metrics-port \d+: cannot listen on 127\.0\.0\.1:\d+: .*in use"
        ):
            async with operated(taken, Program()):
                pass


async def test_it_listens_on_the_loopback_interface_alone_unless_told_otherwise(monkeypatch):
    asked = []

    async def wanted(host, port):
        asked.append(host)
        return await listen("127.0.0.1", port)

    monkeypatch.setattr(front, "listen", wanted)
    for settings in (FREE, MetricsSettings(port=0, host="0.0.0.0")):
        async with operated(settings, Program()):
            pass
    assert asked == ["127.0.0.1", "0.0.0.0"]


def files():
    return len([*Path("/proc/self/fd").iterdir()])


def where(metrics):
    return "127.0.0.1", URL(metrics).port


async def test_a_crowd_that_asks_for_nothing_takes_few_files_and_locks_nobody_out():
    async with operated(FREE, Program()) as metrics, AsyncExitStack() as stack:
        before = files()
        for _ in range(100):
            await stack.enter_async_context(await anyio.connect_tcp(*where(metrics)))
        assert await get(metrics, "/healthz") == (200, "ok\n")
        assert files() <= before + 100 + 32


async def test_a_visit_has_its_end_whatever_it_is_at(monkeypatch, caplog):
    monkeypatch.setattr(server, "VISIT_S", 0.2)
    async with operated(FREE, Program()) as metrics:
        for said in (b"", b"GET /metrics HTTP/1.1\r\n"):
            async with await anyio.connect_tcp(*where(metrics)) as idle:
                await idle.send(said)
                with anyio.fail_after(5), pytest.raises(anyio.EndOfStream):
                    await idle.receive()
    assert "metrics: was not done within 0.2 s" in caplog.text


@pytest.mark.parametrize("path", ["healthz", "none"])
async def test_who_was_answered_is_gone(path):
    async with operated(FREE, Program()) as metrics, await anyio.connect_tcp(*where(metrics)) as visit:
        await visit.send(f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with anyio.fail_after(5):
            answer = b"".join([part async for part in visit])
    assert b"\r\nConnection: close\r\n" in answer


async def test_a_metric_that_breaks_is_one_refusal_and_the_next_scrape_is_served(caplog):
    program = Program()
    good = program._elsewhere
    program._elsewhere = partial(int, "x")
    async with operated(FREE, program) as metrics:
        assert (await get(metrics, "/metrics"))[0] == 500
        program._elsewhere = good
        assert (await get(metrics, "/metrics"))[0] == 200
