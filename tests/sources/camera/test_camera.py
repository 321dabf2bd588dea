"""The camera and its faults, with a clock that the test turns; real clients watch in test_players.py."""

import asyncio
import socket
import threading
from dataclasses import replace
from itertools import pairwise

import pytest

from pipeline.errors import ConfigError
from sources.camera import CameraSettings, Fault, open_camera
from sources.camera import camera as camera_room
from sources.camera import client as client_room
from sources.camera import film as film_room
from sources.camera.h264 import IDR, kind_of
from sources.writer import write_video
from tests.sources.camera.receiving import connect, depacketised, ending
from tests.sources.camera.watching import FAST, turned_camera
from tests.sources.test_file import shades


async def slow_player(turned):
    """A client that plays and has little room for what it does not read."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", turned.camera.port))
    return await turned.player(sock=narrow, limit=4096)


async def test_a_slow_client_goes_on_at_a_key_frame_and_holds_nobody_up():
    async with turned_camera() as turned:
        slow, prompt = await slow_player(turned), await turned.player()
        pictures = [await turned.show(prompt) for _ in range(400)]
        times = [picture[0].timestamp for picture in pictures]
        assert {(after - before) % 2**32 for before, after in pairwise(times)} == {9000}
        before = await turned.show(slow)
        while True:
            after = await turned.show(slow)
            if (after[0].timestamp - before[0].timestamp) % 2**32 != 9000:
                break
            before = after
        assert kind_of(depacketised([packet.payload for packet in after])[-1]) == IDR
        assert after[0].sequence == (before[-1].sequence + 1) % 2**16


async def test_what_waits_for_a_slow_client_when_the_camera_freezes_is_not_sent():
    async with turned_camera() as turned:
        slow, prompt = await slow_player(turned), await turned.player()
        waiting = []
        while not waiting:
            await turned.show(prompt)
            waiting = [client for client in turned.camera._clients if len(client._backlog) > 5]
        turned.camera.freeze(5)
        while True:
            try:
                await asyncio.wait_for(slow.reader.read(65536), 0.3)
            except TimeoutError:
                break
        assert len(waiting[0]._backlog) > 3


async def test_a_frozen_camera_sends_nothing_then_answers_and_goes_on_at_a_key_frame():
    async with turned_camera(faults=(Fault("freeze", 4, 5),)) as turned:
        client = await turned.player()
        pictures = []
        while turned.clock.now() < 53.8:
            pictures.append(await turned.show(client))
        await turned.turn(54.05 - turned.clock.now())
        asked = asyncio.ensure_future(client.ask("GET_PARAMETER"))
        await turned.turn(4.5)
        await asyncio.wait([asked], timeout=0.1)
        assert not asked.done()
        client.frames.clear()
        assert turned.camera.clients == 1
        await turned.turn(0.6)
        assert (await asked).status == 200
        after = await turned.show(client)
        assert kind_of(depacketised([packet.payload for packet in after])[-1]) == IDR
        gap = (after[0].timestamp - pictures[-1][0].timestamp) % 2**32
        assert 5 * 90000 <= gap <= 7 * 90000


@pytest.mark.parametrize(("kind", "seen"), [("fin", "end"), ("rst", "reset"), ("down", "reset")])
async def test_connections_end_as_the_fault_says_and_not_before(kind, seen, monkeypatch):
    monkeypatch.setattr(client_room, "GOODBYE_S", 60)
    async with turned_camera(faults=(Fault(kind, 3, 5),)) as turned:
        clients = [await turned.player() for _ in range(2)]
        while turned.clock.now() < 52.7:
            await turned.show(clients[0])
        assert turned.camera.clients == 2
        await turned.turn(53.1 - turned.clock.now())
        assert [await ending(client.reader) for client in clients] == [seen] * 2
        assert turned.camera.clients == 0


async def connectable(turned):
    try:
        client = await turned.client()
    except ConnectionRefusedError:
        return False
    return (await client.ask("OPTIONS")).status == 200


@pytest.mark.parametrize(("kind", "left"), [("refuse", 1), ("down", 0)])
async def test_nobody_connects_until_the_fault_is_over(kind, left):
    async with turned_camera(faults=(Fault(kind, 1, 5),)) as turned:
        await turned.player()
        assert await connectable(turned)
        await turned.turn(1.1)
        assert not await connectable(turned)
        assert turned.camera.clients == left
        await turned.turn(4.7)
        assert not await connectable(turned)
        await turned.turn(0.3)
        while not await connectable(turned):  # noqa: ASYNC110  (binding takes turns of the loop)
            await asyncio.sleep(0.001)


async def test_a_late_description_keeps_only_who_asked_for_it_waiting():
    async with turned_camera(faults=(Fault("late-describe", 0, 30),)) as turned:
        player, waiting = await turned.player(), await turned.client()
        asked = asyncio.ensure_future(waiting.ask("DESCRIBE"))
        await turned.show(player)
        await turned.turn(29)
        assert not asked.done()
        await turned.turn(2)
        assert (await asked).status == 200


async def test_faults_can_be_called_for():
    async with turned_camera() as turned:
        for fault, seen in ((turned.camera.fin, "end"), (turned.camera.rst, "reset")):
            client = await turned.player()
            await turned.show(client)
            fault()
            assert await ending(client.reader) == seen
        turned.camera.down(5)
        assert not await connectable(turned)


async def test_more_clients_than_there_is_room_for_are_sent_away(monkeypatch):
    monkeypatch.setattr(camera_room, "MOST_CLIENTS", 1)
    async with turned_camera() as turned:
        client = await turned.player()
        assert await ending((await turned.client()).reader)
        await turned.show(client)


async def test_a_video_that_breaks_while_it_plays_ends_the_connections_with_one_line(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(film_room, "KEPT_BYTES", 0)
    write_video(tmp_path / "video.mp4", shades(30, 48), 10)
    async with turned_camera(video=str(tmp_path / "video.mp4")) as turned:
        client = await turned.player()
        (tmp_path / "video.mp4").unlink()
        assert await turned.come(ending(client.reader)) == "end"
    errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1 and "video.mp4" in errors[0] and errors[0].endswith("nothing left to play")


async def test_what_cannot_be_opened_is_one_error_and_the_body_s_own_comes_out_as_itself():
    with pytest.raises(ConfigError, match="no such file"):
        async with open_camera(CameraSettings("gone.mp4", port=0)):
            pass
    with pytest.raises(ZeroDivisionError):
        async with open_camera(FAST) as camera:
            with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{camera.port}"):
                async with open_camera(replace(FAST, port=camera.port)):
                    pass
            _ = 1 / 0
    while any(thread.name == "camera" for thread in threading.enumerate()):  # noqa: ASYNC110  (a thread that was told to end, ends)
        await asyncio.sleep(0.01)


async def test_the_end_of_the_camera_ends_connections_and_frees_all_it_held():
    async with open_camera(FAST) as camera:
        client = await connect(camera)
        set_up = await client.play("RTP/AVP;unicast;client_port=5000-5001")
        held = set_up.headers["transport"][0].rpartition("=")[2].split("-")
    assert await ending(client.reader) == "end"
    client.writer.close()
    with pytest.raises(ConnectionRefusedError):
        await connect(camera)
    for port in held:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(("127.0.0.1", int(port)))
