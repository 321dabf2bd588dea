import time
from contextlib import asynccontextmanager

import anyio
import pytest

from benchmarks.faults.cameras import LATE_S, Host
from benchmarks.faults.schedule import CAMERA_KINDS, PASSWORD
from sources.camera import CameraSettings
from sources.motions import motion_sequence
from sources.writer import write_video

LASTS_S = 0.4
HELLO = b"OPTIONS rtsp://127.0.0.1/stream RTSP/1.0\r\nCSeq: 1\r\n\r\n"
DESCRIBE = (
    b"DESCRIBE rtsp://127.0.0.1/stream RTSP/1.0\r\nCSeq: 2\r\nAuthorization: Basic bWU6c2VjcmV0\r\n\r\n"
)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    write_video(path, motion_sequence(0, 0)[1], 8)
    return str(path)


@asynccontextmanager
async def hosted(film):
    host = Host(CameraSettings(film, port=0, user="me", password="secret"))
    async with anyio.create_task_group() as tasks:
        await host.open(tasks)
        with anyio.fail_after(30):
            yield host, tasks
        tasks.cancel_scope.cancel()


async def ask(port, request=DESCRIBE, within_s=5.0):
    """The first line of the answer; the error where there is none."""
    try:
        with anyio.fail_after(within_s):
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(request)
                return (await stream.receive()).split(b"\r\n")[0].decode()
    except (OSError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
        return type(error)


async def ends(port):
    """Whether an open connection is ended."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(HELLO)
        await stream.receive()
        try:
            with anyio.fail_after(0.3):
                await stream.receive()
        except TimeoutError:
            return False
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return True


@pytest.mark.parametrize("kind", CAMERA_KINDS)
async def test_after_every_fault_it_answers_at_the_same_port(film, kind):
    async with hosted(film) as (host, tasks):
        port = host.camera.port
        assert await ask(port) == "RTSP/1.0 200 OK"
        began = time.monotonic()
        await host.suffer(kind, LASTS_S, tasks)
        assert time.monotonic() - began >= LASTS_S
        assert host.camera.port == port
        with anyio.fail_after(LATE_S / 2):
            while await ask(port) != "RTSP/1.0 200 OK":  # noqa: ASYNC110  (the camera tells nobody)
                await anyio.sleep(0.05)


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        ("freeze", (TimeoutError,)),
        ("late-describe", (TimeoutError,)),
        ("refuse", (OSError, ConnectionRefusedError)),
        ("down", (OSError, ConnectionRefusedError)),
        ("gone", (OSError, ConnectionRefusedError)),
        (PASSWORD, ("RTSP/1.0 401 Unauthorized",)),
    ],
)
async def test_while_a_fault_lasts_it_does_not_answer_as_it_should(film, kind, answers):
    async with hosted(film) as (host, tasks):
        tasks.start_soon(host.suffer, kind, 5.0, tasks)
        await anyio.sleep(0.5)
        assert await ask(host._settings.port, within_s=0.5) in answers


@pytest.mark.parametrize("kind", [kind for kind in CAMERA_KINDS if kind != "freeze"])
async def test_every_fault_but_silence_ends_the_connections(film, kind):
    async with hosted(film) as (host, tasks):

        async def soon():
            await anyio.sleep(0.15)
            await host.suffer(kind, 5.0, tasks)

        tasks.start_soon(soon)
        assert await ends(host.camera.port)


async def test_a_fault_that_there_is_none_of_is_an_error(film):
    with pytest.raises(ExceptionGroup) as caught:
        async with hosted(film) as (host, tasks):
            await host.suffer("flood", 0.0, tasks)
    assert caught.group_contains(ValueError, match="no such fault: flood")
