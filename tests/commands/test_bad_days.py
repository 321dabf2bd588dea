"""What goes wrong around the program: one clear line, the right exit status, and nothing lost."""

import json
import re
import signal
import ssl
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from commands.profiling.cache import write_profile
from main import app
from tests import disks
from tests.commands.machines import profile_for
from tests.commands.operations.pages import Page, fetch
from tests.commands.processes import Listener, only_line, start
from tests.transport.certificates import Authority

DEVICE = ("device", "--source", "pattern:motions?clips=1", "--split")
PAGES = 16


def invoke(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@contextmanager
def busy(issued=None):
    """A port with a web server behind it; with a certificate one that speaks TLS."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.RequestHandlerClass.log_message = lambda *_: None
    if issued is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(issued.cert, issued.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize(
    ("issue", "said"),
    [
        ({"days": -1}, "its certificate, or its CA's, has expired; renew it, unless"),
        ({"hosts": "DNS:cloud.example"}, "its certificate is not for 127.0.0.1; dial a name"),
        (None, "speaks no TLS; dial ws://127.0.0.1:"),
    ],
)
def test_a_cloud_that_cannot_be_trusted_is_one_line(issue, said, authority):
    issued = None if issue is None else authority.issue("far", **issue)
    with busy(issued) as port:
        result = invoke(*DEVICE, 4, "--cloud", f"wss://127.0.0.1:{port}", "--tls-ca", authority.cert)
    assert result.exit_code == 2
    line = only_line(result.stderr)
    assert line.startswith(f"janus: 127.0.0.1:{port}: ") and said in line.split(": ", 2)[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("cloud", "--profile", "PROFILE", "--port"), "cannot listen on 127.0.0.1:PORT: "),
        (
            (*DEVICE[:3], "--device-only", "--metrics-port"),
            "--metrics-port PORT: cannot listen on 127.0.0.1:PORT: ",
        ),
        (("camera", "pattern:motions?clips=1", "--port"), "cannot listen on 127.0.0.1:PORT: "),
    ],
    ids=["cloud", "metrics", "camera"],
)
def test_a_port_in_use_is_one_line(arguments, said, model, tmp_path):
    write_profile(profile_for(model), tmp_path / "profile.json")
    with busy() as port:
        given = [tmp_path / "profile.json" if word == "PROFILE" else word for word in arguments]
        result = invoke(*given, port)
    assert result.exit_code == 2
    line = only_line(result.stderr)
    assert line.startswith("janus: " + said.replace("PORT", str(port)))
    assert "in use" in line and line.endswith("choose another port or host")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 kB."""
    with disks.small_disk(tmp_path / "disk", PAGES) as folder:
        yield folder


def test_a_disk_that_is_full_for_a_while_loses_no_clip_and_stops_none(small_disk):
    output, filler = small_disk / "out.jsonl", small_disk / "filler"
    filler.write_bytes(bytes((PAGES - 1) * disks.PAGE_BYTES))
    source = "pattern:motions?fps=100"
    device = start(
        *("device", "--source", source, "--device-only", "--strict", "-o", output, "--metrics-port", 0)
    )
    said = Listener(device)
    try:
        url = re.search(r"http://\S+", said.wait_for("metrics at"))[0]
        full = said.wait_for("No space left on device")
        until(lambda: waiting(url, output) > 10)
        lines_when_full = output.read_bytes().splitlines(keepends=True)
        filler.unlink()
        until(lambda: waiting(url, output) == 0)
        device.send_signal(signal.SIGTERM)
        status = device.wait(60)
    finally:
        device.kill()
        told = said.all()
    assert status == 0
    assert f"{output}: results cannot be written (No space left on device); " in full
    assert told.count("No space left on device") == 1
    assert "works again after" in told
    records = [json.loads(line) for line in output.read_text().splitlines()]
    assert [record["seq"] for record in records] == list(range(len(records)))
    assert f"{len(records)} clips: " in told
    assert all(line.endswith(b"\n") for line in lines_when_full)
    assert len(records) > len(lines_when_full) + 10


class Receiver(BaseHTTPRequestHandler):
    """Says yes to all records, or nothing at all while the server has no `answers`."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.server.answers.wait(60):
            return
        self.server.seqs += [record["seq"] for record in json.loads(body)]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def receiver():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.seqs, server.answers = [], threading.Event()
    server.answers.set()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.answers.set()
        server.shutdown()
        server.server_close()
        thread.join()


def device_to(server, spool, *options, grace_s=0.5):
    far = f"http://127.0.0.1:{server.server_port}/hook#grace_s={grace_s}&spool={spool}"
    return start(
        "device", "--source", "pattern:motions?fps=100", "--device-only", "--strict", "--sink", far, *options
    )


def ended(device, condition):
    """Ask a device to end once this holds; its exit status and all that it said."""
    said = Listener(device)
    try:
        condition(said)
        device.send_signal(signal.SIGTERM)
        status = device.wait(60)
    finally:
        device.kill()
        told = said.all()
    return status, told


def test_a_full_disk_keeps_no_record_from_a_far_end_that_works(small_disk):
    (small_disk / "filler").write_bytes(bytes((PAGES - 4) * disks.PAGE_BYTES))
    with receiver() as server:
        for enough in (40, 80):
            device = device_to(server, small_disk / "spool")
            status, told = ended(device, lambda said, most=enough: until(lambda: len(server.seqs) > most))
            assert status == 0, told
            assert server.seqs == list(range(len(server.seqs)))
            if enough == 40:
                assert f"{small_disk}/spool: records cannot be spooled (No space left on" in told


def test_records_that_neither_a_far_end_nor_its_spool_took_are_an_error(small_disk):
    (small_disk / "filler").write_bytes(bytes((PAGES - 4) * disks.PAGE_BYTES))
    with receiver() as server:
        server.answers.clear()
        device = device_to(server, small_disk / "spool")
        status, told = ended(device, lambda said: said.wait_for("No space left"))
    assert status == 2, told
    assert re.search(r"^janus: .*spool: records cannot be spooled .*; \d+ records were not", told, re.M)


def test_a_far_end_that_hangs_does_not_hold_an_end_beyond_the_grace(tmp_path):
    with receiver() as server:
        server.answers.clear()
        device = device_to(server, tmp_path / "spool", "--grace", 1, grace_s=50)
        began = time.monotonic()
        status, told = ended(device, lambda said: said.wait_for("pattern  0.16"))
        took_s = time.monotonic() - began
    assert status == 0, told
    assert re.search(r"\d+ records stay in", told)
    assert took_s < 40


def waiting(url, sink):
    return Page(fetch(url)[1])("janus_sink_waiting_records", sink=str(sink))


def until(condition, timeout_s=60):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
