"""One client at a time, by hand, with a clock that the test turns."""

import asyncio
from itertools import pairwise

import anyio
import anyio.lowlevel
import pytest

from sources.camera.h264 import IDR, kind_of
from sources.camera.patience import REQUEST_S, SESSION_S
from tests.sources.camera.receiving import basic, depacketised, ending, report
from tests.sources.camera.watching import WALL_S, turned_camera

TICKS = 9000


def units_of(packets):
    return depacketised([packet.payload for packet in packets])


async def test_a_client_that_plays_gets_a_report_and_then_pictures_from_a_key_frame_on():
    async with turned_camera() as turned:
        client = await turned.player()
        first = await turned.show(client)
        assert kind_of(units_of(first)[-1]) == IDR
        second = await turned.show(client)
        assert kind_of(units_of(second)[0]) == 1
        assert (second[0].timestamp - first[0].timestamp) % 2**32 == TICKS
        assert second[0].sequence == (first[-1].sequence + 1) % 2**16
        assert turned.camera.clients == 1


async def test_reports_come_first_and_every_few_seconds_with_the_time_of_capture():
    async with turned_camera() as turned:
        client = await turned.player()
        began_s = turned.clock.now()
        told, taken = [], []
        while len(told) < 3:
            channel, packet = await turned.come(client.frame())
            told += [report(packet)] if channel == 1 else []
            taken.append(channel)
        assert taken[0] == 1
        assert began_s <= told[0].unix_s - WALL_S <= began_s + 3
        for before, after in pairwise(told):
            passed_s = after.unix_s - before.unix_s
            assert passed_s == pytest.approx(5)
            assert (after.timestamp - before.timestamp) % 2**32 == pytest.approx(passed_s * 90000, abs=2)
        assert told[0].packets == 0 < told[1].packets < told[2].packets


async def test_timestamps_and_numbers_go_on_over_the_loop():
    async with turned_camera() as turned:
        client = await turned.player()
        pictures = [await turned.show(client) for _ in range(40)]
    packets = [packet for picture in pictures for packet in picture]
    numbers = [(packet.sequence - packets[0].sequence) % 2**16 for packet in packets]
    assert numbers == list(range(len(packets)))
    times = [(picture[0].timestamp - pictures[0][0].timestamp) % 2**32 for picture in pictures]
    assert times == [TICKS * index for index in range(40)]
    keys = [index for index, picture in enumerate(pictures) if kind_of(units_of(picture)[-1]) == IDR]
    assert keys[:4] in ([0, 10, 16, 26], [0, 6, 16, 22])


async def test_the_client_s_own_reports_are_swallowed_between_its_requests():
    async with turned_camera() as turned:
        client = await turned.player()
        for _ in range(3):
            client.writer.write(b"$\x01\x00\x08\x80\xc9\x00\x01abcd")
            assert (await client.ask("GET_PARAMETER")).status == 200


async def test_between_two_requests_that_have_come_already_others_have_their_turn():
    turns = 0

    async def take_turns():
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with turned_camera() as turned:
        client = await turned.player()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take_turns)
            ask = "OPTIONS * RTSP/1.0\r\nCSeq: {}\r\n\r\n"
            client.writer.write("".join(ask.format(1000 + number) for number in range(200)).encode())
            with anyio.fail_after(5):
                await client.reader.readuntil(b"1199")
            tasks.cancel_scope.cancel()
    assert turns >= 200


async def test_a_paused_client_gets_nothing_and_goes_on_at_a_key_frame():
    async with turned_camera() as turned:
        client = await turned.player()
        before = await turned.show(client)
        assert (await client.ask("PAUSE")).status == 200
        client.frames.clear()
        await turned.turn(1.2)
        assert (await client.ask("OPTIONS")).status == 200
        assert not client.frames
        assert (await client.ask("PLAY")).status == 200
        after = await turned.show(client)
        assert kind_of(units_of(after)[-1]) == IDR
        assert after[0].sequence == (before[-1].sequence + 1) % 2**16


async def test_a_client_that_keeps_silent_is_let_go_and_one_that_shows_life_is_not():
    async with turned_camera() as turned:
        silent, alive, reporting = [await turned.player() for _ in range(3)]
        while turned.camera.clients == 3:
            await turned.turn(SESSION_S / 4)
            assert (await alive.ask("GET_PARAMETER")).status == 200
            reporting.writer.write(b"$\x01\x00\x00")
            await reporting.writer.drain()
            await asyncio.sleep(0.01)
        assert turned.camera.clients == 2
        assert await ending(silent.reader)


async def test_a_freeze_is_not_the_client_s_silence():
    async with turned_camera() as turned:
        client = await turned.player()
        turned.camera.freeze(SESSION_S + 5)
        await turned.turn(SESSION_S + 4)
        assert turned.camera.clients == 1
        await turned.turn(SESSION_S - 5)
        assert (await client.ask("GET_PARAMETER")).status == 200


@pytest.mark.parametrize("data", [b"", b"OPT", b"$\x00\xff\xff", b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n"])
async def test_a_request_that_never_ends_is_given_up(data):
    async with turned_camera() as turned:
        client = await turned.client()
        gone = asyncio.ensure_future(ending(client.reader))
        for _ in range(round(REQUEST_S) + 1):
            client.writer.write(data[:1])
            data = data[1:]
            await asyncio.sleep(0.005)
            await turned.turn(1)
        assert await gone


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"x" * 9000, 413),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 9999\r\n\r\n", 413),
    ],
)
async def test_what_is_no_request_is_answered_once_and_the_others_play_on(data, status):
    async with turned_camera() as turned:
        player, hostile = await turned.player(), await turned.client()
        await turned.show(player)
        hostile.writer.write(data)
        assert (await hostile.answer()).status == status
        assert await ending(hostile.reader)
        await turned.show(player)
        assert turned.camera.clients == 1


async def test_a_request_without_a_number_is_refused_and_the_next_one_answered():
    async with turned_camera() as turned:
        client = await turned.client()
        client.writer.write(b"OPTIONS * RTSP/1.0\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, "cseq" in answer.headers) == (400, False)
        assert (await client.ask("OPTIONS")).status == 200


async def test_nothing_that_is_logged_holds_a_password(caplog):
    caplog.set_level("DEBUG")
    async with turned_camera(user="user", password="geheim") as turned:
        client = await turned.client()
        assert (await client.ask("DESCRIBE", Authorization=basic("user:wrong"))).status == 401
        assert (await client.ask("DESCRIBE", Authorization=basic("user:geheim"))).status == 200
        client.url = client.url.replace("://", "://user:geheim@")
        assert (await client.ask("DESCRIBE", Authorization=basic("user:geheim"))).status == 200
        client.writer.write(b"DESCRIBE rtsp://user:geheim@h RTSP/9\r\n\r\n")
        assert (await client.answer()).status == 400
        assert "geheim" not in turned.camera.url + repr(turned.camera)
    assert "refused" in caplog.text
    assert "geheim" not in caplog.text and basic("user:geheim")[6:] not in caplog.text
