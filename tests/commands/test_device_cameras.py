"""Cameras through the whole program, as a user starts it."""

import json
import signal
import socket
import time
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from main import app
from tests.commands.processes import only_line, start
from tests.sinks.broker import broker, listening
from tests.sinks.server import off_the_loop, until
from tests.sources.live.cameras import free_port, gst_camera, mjpeg_camera

DEVICE = ("device", "--split", "13", "--output", "-")


def stop(process, timeout_s=60):
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=timeout_s)
    return [json.loads(line) for line in out.splitlines()], error


def records_until(process, seconds, enough):
    """Records as they come, until they are enough; the process is stopped then."""
    records, until = [], time.monotonic() + seconds
    while not enough(records):
        assert time.monotonic() < until, records
        line = process.stdout.readline()
        assert line, process.stderr.read()
        records.append(json.loads(line))
    return records


def test_cameras_over_rtsp_and_http_are_classified_beside_each_other_and_beside_one_that_is_down():
    down = f"down=rtsp://me:hidden@127.0.0.1:{free_port()}/cam"
    with gst_camera("ball", "me", "hid/den") as door, mjpeg_camera() as yard:
        sources = (door.url("me:hid%2Fden@"), f"yard={yard}", down)
        process = start(*DEVICE, *(word for source in sources for word in ("--source", source)))
        try:
            both = {urlsplit(door.url()).netloc.replace(":", "-"), "yard"}
            records = records_until(process, 90, lambda got: {record["source"] for record in got} == both)
            rest, error = stop(process)
        finally:
            process.kill()
    assert {record["source"] for record in rest} <= both
    assert {record["status"] for record in records} <= {"ok", "dropped"}
    assert process.returncode == 0
    assert not any(secret in f"{records}{rest}{error}" for secret in ("hid/den", "hid%2Fden", "hidden"))
    assert "down: connecting: " in error
    assert "Traceback" not in error


def test_numbers_of_clips_rise_over_a_lost_camera_and_only_the_clip_that_it_broke_off_is_padded():
    with gst_camera() as camera:
        process = start(*DEVICE, "--strict", "--source", f"cam={camera.url()}")
        try:
            before = records_until(process, 90, lambda got: len(got) >= 2)
            camera.kill()
            camera.start()
            after = records_until(
                process, 90, lambda got: got and got[-1]["start_s"] > before[-1]["end_s"] + 0.6
            )
            rest, error = stop(process)
        finally:
            process.kill()
    records = before + after + rest
    assert [record["seq"] for record in records] == list(range(len(records)))
    assert sum("padded" in record for record in records) <= 1
    assert "cam: reconnecting: " in error


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("rtsp://me:hidden@", "write rtsp://USER"),
        ("rtps://me:hidden@host/cam", "unknown scheme"),
        ("rtsp://me:${NO_SUCH_VARIABLE}@host/cam", "NO_SUCH_VARIABLE is not set"),
        ("webcam:/dev/video99", "no such device"),
    ],
)
def test_a_wrong_address_is_one_line_before_anything_starts(source, named):
    result = CliRunner().invoke(app, [*DEVICE, "--source", source])
    assert (result.exit_code, result.stdout) == (2, "")
    assert named in only_line(result.stderr)
    assert "hidden" not in result.stderr


async def test_a_broker_hears_how_each_camera_fares_from_the_first_moment_to_the_last(
    tmp_path, unused_tcp_port
):
    place = f"mqtt://127.0.0.1:{unused_tcp_port}/site#spool={tmp_path}"
    async with broker(unused_tcp_port), listening(unused_tcp_port) as ear:
        with mjpeg_camera(most=60) as yard, socket.create_server(("127.0.0.1", 0)) as mute:
            gate = f"gate=http://127.0.0.1:{mute.getsockname()[1]}/cam"
            process = start(*DEVICE, "--source", f"yard={yard}", "--source", gate, "--sink", place)
            try:
                await off_the_loop(process.stdout.readline)
                await until(lambda: ear.said("site/yard/status").count(b"running") > 1)
                await off_the_loop(stop, process)
            finally:
                process.kill()
        await until(lambda: ear.said("site/available")[-1:] == [b"offline"])
    yards, gates = ear.said("site/yard/status"), ear.said("site/gate/status")
    told = yards.index(b"running")
    assert yards[told : told + 3] == [b"running", b"reconnecting", b"running"]
    assert (yards[-1], gates[0]) == (b"ended", b"connecting")
