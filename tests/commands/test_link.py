import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands.link import LinkRequest, parse_address, parse_outage, run, shape_of
from pipeline.errors import ConfigError
from tests.commands.processes import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"


def request(**options):
    return LinkRequest(**{"listen": f"{HOST}:0", "to": f"{HOST}:9"} | options)


@pytest.fixture
def growing(tmp_path):
    """A trace that takes a second from 8 to 16 Mbit/s, and lasts two."""
    path = tmp_path / "growing.csv"
    path.write_text("t_s,mbps,rtt_ms\n0,8,20\n1,16,60\n")
    return str(path)


def test_a_link_is_as_fast_as_its_trace_its_number_or_its_seed_says(growing):
    assert shape_of(request(trace=growing)).mbps_at(1.5) == 16
    assert shape_of(request(mbps=3.5)).mbps_at(1.5) == 3.5
    made_up = [shape_of(request(lte=seed)) for seed in (0, 0, 1)]
    assert made_up[0].mbps_at(100) == made_up[1].mbps_at(100) != made_up[2].mbps_at(100)


def test_a_trace_begins_again_or_once_keeps_its_last_value(growing):
    assert shape_of(request(trace=growing)).mbps_at(2.5) == 8
    assert shape_of(request(trace=growing, once=True)).mbps_at(2.5) == 16
    assert shape_of(request(mbps=5.0, once=True, outage="2:1")).mbps_at(101.5) == 0


def test_a_round_trip_that_was_asked_for_holds_instead_of_the_trace_s_own(growing):
    assert shape_of(request(trace=growing)).rtt_ms_at(1.5, 7) == 60
    assert shape_of(request(trace=growing, rtt_ms=7)).rtt_ms_at(1.5, 7) == 7


def test_an_outage_ends_each_of_its_periods(growing):
    link = shape_of(request(trace=growing, outage="4:1"))
    assert [link.mbps_at(t_s) for t_s in (2.5, 3.5, 4.5, 7.5)] == [8, 0, 8, 0]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "exactly one of --trace, --mbps and --lte"),
        ({"mbps": 1.0, "lte": 3}, "exactly one of --trace, --mbps and --lte"),
        ({"mbps": -1.0}, "-1, not Mbit/s"),
        ({"mbps": float("nan")}, "nan, not Mbit/s"),
        ({"trace": "gone.csv"}, "gone.csv: is no file"),
        ({"mbps": 1.0, "rtt_ms": -1.0}, "--rtt-ms -1: choose 0 to 60000 ms"),
        ({"mbps": 1.0, "rtt_ms": float("nan")}, "--rtt-ms nan: choose"),
        ({"mbps": 1.0, "down_mbps": 0.0}, "--down-mbps 0: choose a rate above 0"),
        ({"mbps": 1.0, "outage": "5"}, "outage '5' is not of the form EVERY:LENGTH"),
        ({"mbps": 1.0, "outage": "5:6"}, "needs EVERY:LENGTH"),
        ({"mbps": 1.0, "to": f"{HOST}:0"}, "must be another address than --listen, with a port above 0"),
        ({"mbps": 1.0, "listen": f"{HOST}:9"}, "must be another address than --listen"),
        ({"mbps": 1.0, "listen": "9"}, "address '9' is not of the form HOST:PORT"),
    ],
)
def test_a_senseless_request_is_refused_before_anything_starts(options, problem):
    with pytest.raises(ConfigError, match=problem):
        run(request(**options))


@pytest.mark.parametrize(
    ("text", "address"),
    [("localhost:80", ("localhost", 80)), ("[::1]:8765", ("::1", 8765)), ("10.0.0.1:0", ("10.0.0.1", 0))],
)
def test_an_address_is_a_host_and_a_port(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "host", "host:", ":80", "::1:80", "host:65536", "ws://host:80", "h:8x"])
def test_an_address_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="is not of the form HOST:PORT"):
        parse_address(text)


@pytest.mark.parametrize("text", ["", "20", "20:", "20:x", "1:2:3"])
def test_an_outage_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="is not of the form EVERY:LENGTH"):
        parse_outage(text)


@contextmanager
def running(*arguments):
    """A link process, the line it said, and where it listens."""
    code = (
        "import sys; from commands.link import LinkRequest, run\n"
        "status = run(LinkRequest('127.0.0.1:0', sys.argv[1], mbps=float(sys.argv[2])))\n"
        "print('torch' in sys.modules); sys.exit(status)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        cwd=ROOT,
    )
    try:
        line = process.stdout.readline()
        port = int(re.search(rf"listening at {HOST}:(\d+), leads to", line)[1])
        yield process, line, port
    finally:
        process.kill()
        process.communicate()


@contextmanager
def echo_server():
    """The port of a server that sends one connection's bytes back."""
    with socket.create_server((HOST, 0)) as server:

        def echo():
            client = server.accept()[0]
            with client:
                while data := client.recv(65536):
                    client.sendall(data)

        threading.Thread(target=echo, daemon=True).start()
        yield server.getsockname()[1]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_link_process_relays_until_a_signal_and_ends_with_0_without_torch(ending):
    with echo_server() as server_port, running(f"{HOST}:{server_port}", 100) as (process, line, port):
        assert line.rstrip().endswith(f"leads to {HOST}:{server_port}: 100 Mbit/s, 100.0 Mbit/s in the mean")
        with socket.create_connection((HOST, port), timeout=10) as client:
            client.sendall(b"over the link")
            assert client.recv(100) == b"over the link"
            process.send_signal(ending)
            out, error = process.communicate(timeout=10)
    assert (process.returncode, out, error) == (0, "False\n", "")
