import asyncio
import json
import shutil
import socket
import subprocess
from functools import partial
from pathlib import Path

import pytest
from aiohttp.test_utils import unused_port
from hypothesis import given
from hypothesis import strategies as st
from pwdlib import PasswordHash

from sinks.mqtt import level
from sinks.outage import Outage
from sinks.record import to_record
from sinks.registry import make_sink
from sinks.settings import MqttSettings
from tests.sinks.broker import Ear, broker, listening
from tests.sinks.samples import numbered
from tests.sinks.server import off_the_loop, until


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Outages of tests are short."""
    monkeypatch.setattr("sinks.courier.Outage", partial(Outage, 0.005, 0.01))


def settings(port: int, spool, **options: object) -> MqttSettings:
    return MqttSettings(
        **({"host": "127.0.0.1", "port": port, "topic": "site", "spool": spool, "grace_s": 30} | options)
    )


def seqs(ear: Ear, source: str = "abseiling") -> list[int]:
    return [json.loads(payload)["seq"] for payload in ear.said(f"site/{source}/clip")]


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    subprocess.run([*make, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


async def test_records_states_and_availability_are_published(tmp_path):
    port = unused_port()
    async with broker(port), listening(port) as ear:
        runner = make_sink(settings(port, tmp_path))
        runner.open()
        runner.tell("front/door", "running")
        for seq in range(50):
            runner.write(numbered(seq))
        await until(lambda: len(seqs(ear)) == 50 and len(ear.said("site/front%2Fdoor/status")) == 1)
        runner.tell("front/door", "stalled")
        await until(lambda: len(ear.said("site/front%2Fdoor/status")) == 2)
        await off_the_loop(runner.close)
        await until(lambda: len(ear.said("site/available")) == 2)
    assert json.loads(ear.said("site/abseiling/clip")[0]) == to_record(numbered(0))
    assert seqs(ear) == list(range(50))
    assert ear.said("site/front%2Fdoor/status") == [b"running", b"stalled"]
    assert ear.said("site/available") == [b"online", b"offline"]
    assert runner.statistics().written == 50


async def test_who_comes_later_still_hears_who_is_there_and_in_which_state(tmp_path):
    port = unused_port()
    async with broker(port):
        runner = make_sink(settings(port, tmp_path))
        runner.open()
        for state in ("connecting", "running", "stalled"):
            runner.tell("door", state)
        runner.write(numbered(0))
        await until(lambda: runner.statistics().written == 1)
        async with listening(port) as ear:
            await until(lambda: len(ear.heard) >= 2)
        await off_the_loop(runner.close)
    assert ("site/available", b"online", True) in ear.heard
    assert ("site/door/status", b"stalled", True) in ear.heard
    assert not seqs(ear)


async def test_a_broker_that_dies_and_comes_back_gets_every_record_and_the_states_again(tmp_path):
    port = unused_port()
    runner = make_sink(settings(port, tmp_path, timeout_s=1))
    runner.open()
    runner.tell("door", "running")
    for seq in range(5):
        runner.write(numbered(seq))
    await until(lambda: runner.statistics().last_error is not None)
    async with broker(port), listening(port) as first:
        await until(lambda: runner.statistics().written >= 5)
        for seq in range(5, 10):
            runner.write(numbered(seq))
        await until(lambda: set(seqs(first)) >= set(range(5, 10)))
    await until(lambda: runner.statistics().failing_since is not None)
    for seq in range(10, 40):
        runner.write(numbered(seq))
    await until(lambda: runner.statistics().spooled == 30)
    async with broker(port), listening(port) as second:
        runner.write(numbered(40))
        await off_the_loop(runner.close)
        await until(lambda: 40 in seqs(second) or 40 in seqs(first))
    assert runner.statistics().spooled == 0
    assert runner.statistics().written >= 41


async def test_the_last_will_tells_of_a_device_that_vanished(tmp_path):
    port = unused_port()
    async with broker(port), listening(port) as ear:
        runner = make_sink(settings(port, tmp_path, grace_s=0))
        runner.open()
        await until(lambda: ear.said("site/available") == [b"online"])
        runner._sink._remote._session._client._client.socket().shutdown(socket.SHUT_RDWR)
        await until(lambda: b"offline" in ear.said("site/available"))
        await off_the_loop(runner.close)


async def test_a_broker_that_never_answers_is_an_outage_and_holds_up_nobody(tmp_path, caplog):
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        runner = make_sink(settings(port, tmp_path, timeout_s=0.05, grace_s=0.1))
        runner.open()
        runner.write(numbered(0))
        await until(lambda: runner.statistics().last_error is not None)
        assert "timed out" in runner.statistics().last_error
        await off_the_loop(runner.close)
    assert "1 records stay in" in caplog.text


@pytest.mark.parametrize(("password", "let_in"), [("right", True), ("wrong", False)])
async def test_a_password_is_shown_to_the_broker_and_to_nobody_else(tmp_path, password, let_in, caplog):
    users = tmp_path / "users"
    users.write_text(f"camera:{PasswordHash.recommended().hash('right')}\n")
    port = unused_port()
    async with broker(port, users=users):
        runner = make_sink(settings(port, tmp_path / "spool", user="camera", password=password, grace_s=0.1))
        runner.open()
        runner.write(numbered(0))
        await until(lambda: runner.statistics().written == 1 or runner.statistics().last_error is not None)
        assert (runner.statistics().written == 1) == let_in
        await off_the_loop(runner.close)
    assert password not in f"{caplog.text} {runner.statistics()}"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
@pytest.mark.parametrize("trusted", [True, False])
async def test_with_tls_only_a_trusted_broker_gets_records(tmp_path, trusted):
    cert, key = self_signed(tmp_path)
    port = unused_port()
    async with broker(port, tls=(cert, key)):
        ca = cert if trusted else None
        runner = make_sink(settings(port, tmp_path / "spool", tls=True, ca=ca, grace_s=0.1))
        runner.open()
        runner.write(numbered(0))
        await until(lambda: runner.statistics().written == 1 or runner.statistics().last_error is not None)
        assert (runner.statistics().written == 1) == trusted
        assert trusted or "certificate verify failed" in runner.statistics().last_error
        await off_the_loop(runner.close)


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_source_is_one_level_of_a_topic_and_no_two_share_one(one, other):
    assert not set(level(one)) & set("/+#\0")
    assert (level(one) == level(other)) == (one == other)
