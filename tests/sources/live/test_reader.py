import struct
import threading
import time
from contextlib import nullcontext
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

import av
import pytest

from pipeline.clock import SystemClock
from pipeline.errors import StreamLost
from pipeline.items import Frame
from sources.live.opening import opening_of
from sources.live.reader import Reader
from sources.live.states import SourceStates, State
from sources.live.url import parse_address
from tests.sources.live.cameras import (
    Watched,
    file_server,
    frames_of,
    gst_camera,
    mjpeg_camera,
    write_raw,
    write_stream,
)


class FakeStream:
    """Decodes a packet to the pictures that it holds; one that holds none is damaged."""

    codec_context = SimpleNamespace(thread_count=0)
    thread_type = "AUTO"

    def decode(self, packet):
        if packet.pictures is None:
            raise av.error.InvalidDataError(1, "damaged")
        return packet.pictures


class FakePacket:
    time_base = Fraction(1, 10)

    def __init__(self, pts, pictures, unix_us=None):
        self.pts, self.pictures, self.unix_us, self.size = pts, pictures, unix_us, 1

    def has_sidedata(self, kind):
        return kind == "prft" and self.unix_us is not None

    def get_sidedata(self, kind):
        return struct.pack("<qi", self.unix_us, 24) + bytes(4)


def picture(time_s, corrupt=False):
    form = SimpleNamespace(name="yuv420p", is_bayer=False)
    return SimpleNamespace(time=time_s, is_corrupt=corrupt, format=form)


@pytest.fixture
def read_packets(monkeypatch):
    def read(*packets):
        stream = FakeStream()
        container = SimpleNamespace(
            streams=SimpleNamespace(video=[stream]),
            format=SimpleNamespace(name="rtsp"),
            demux=lambda stream: iter(packets),
        )
        opened = []

        def fake_open(url, mode, **told):
            opened.append(told)
            return nullcontext(container)

        monkeypatch.setattr("sources.live.reader.av.open", fake_open)
        states = SourceStates("cam", 0.0, 1.9)
        opening = opening_of(parse_address("rtsp://host/cam"))
        reader = Reader("cam", opening, SystemClock(), states, threading.Event())
        pictures = []
        with pytest.raises(StreamLost, match="the camera ended the stream"):
            pictures.extend(reader.pictures())
        return pictures, states.status(0.0), stream, opened[0]

    return read


def test_damaged_pictures_and_packets_are_passed_over_and_counted(read_packets):
    packets = FakePacket(0, [picture(0.0)]), FakePacket(1, None), FakePacket(2, [picture(0.2, corrupt=True)])
    pictures, status, _, _ = read_packets(*packets, FakePacket(3, [picture(0.3)]))
    assert [each.pts_s for each in pictures] == [0.0, 0.3]
    assert status.corrupt == 2


def test_packets_that_hold_no_whole_picture_are_heard_all_the_same(read_packets, monkeypatch):
    heard = []
    monkeypatch.setattr(SourceStates, "packet", lambda states, now: heard.append(now))
    read_packets(FakePacket(0, []), FakePacket(1, None), FakePacket(2, [picture(0.2, corrupt=True)]))
    assert len(heard) == 3


def test_a_report_says_when_pictures_were_captured_and_one_that_cannot_be_is_doubted(read_packets):
    second_ago = round((time.time() - 1.0) * 1e6)
    packets = [FakePacket(n, [picture(n / 10)], second_ago + n * 10) for n in (0, 1)]
    years_ago = FakePacket(2, [picture(0.2)], second_ago - 10**14)
    (first, _, old), _, _, _ = read_packets(*packets, years_ago)
    assert first.arrived_at - first.captured_at == pytest.approx(1.0, abs=0.2)
    assert not first.doubtful
    assert (old.captured_at, old.doubtful) == (old.arrived_at, True)


@pytest.mark.parametrize(("form", "side", "said"), [("bgr4", 64, "bgr4"), ("bayer_bggr8", 1, "1 x 1")])
def test_pictures_that_cannot_be_converted_are_the_loss_of_their_camera_alone(tmp_path, form, side, said):
    write_raw(tmp_path / "a.nut", form, side)
    with file_server(tmp_path) as url:
        status, news = Watched(f"{url}/a.nut").first_told()
    assert (status.state, status.frames) == (State.CONNECTING, 0)
    assert said in news and "cannot be converted" in news


def test_a_connection_has_both_timeouts_and_no_thread_that_holds_frames_back(read_packets):
    _, _, stream, told = read_packets(FakePacket(0, [picture(0.0)]))
    assert told["timeout"] == (5.0, 2.0)
    assert (stream.thread_type, stream.codec_context.thread_count) == ("SLICE", 1)


USER, PASSWORD = "us er", "p@s:s/%w#?"
INFO = "us%20er:p%40s%3As%2F%25w%23%3F@"


def at_least(count):
    return lambda items: len(items) >= count


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("beside", [False, True], ids=["in the address", "beside the address"])
def test_an_independent_server_is_read_with_digest_authentication(transport, beside):
    with gst_camera("ball", USER, PASSWORD) as camera:
        credentials = {"user": USER, "password": PASSWORD} if beside else {}
        watched = Watched(f"{camera.url('' if beside else INFO)}?transport={transport}", **credentials)
        frames = frames_of(watched.read(at_least(40)))
    assert watched.source.rate == 25.0
    assert frames[0].pixels.shape == (32, 32, 3)
    assert len({frame.pixels.tobytes() for frame in frames}) > 20
    steps = [after.pts_s - before.pts_s for before, after in pairwise(frames[1:])]
    assert steps == pytest.approx([0.04] * len(steps), abs=0.002)
    assert [status.state for status, _ in watched.told] == [State.RUNNING, State.ENDED]
    assert watched.source.status().last_error is None


@pytest.mark.parametrize(
    ("info", "path", "reason"),
    [("us%20er:wrong@", "/cam", "401"), ("", "/cam", "401"), (INFO, "/attic", "404")],
)
def test_a_camera_that_refuses_is_a_state_and_a_warning_without_the_password(info, path, reason):
    with gst_camera("ball", USER, PASSWORD) as camera:
        watched = Watched(camera.url(info, path))
        reading = threading.Thread(target=watched.read, args=[at_least(1)])
        reading.start()
        failed = watched.wait_for(State.FAILED)
        watched.source.close()
        reading.join()
    assert reason in failed.last_error
    assert "wrong" not in f"{watched.told}"
    assert failed.frames == 0


def test_a_stream_over_http_that_refuses_is_the_same_state():
    with mjpeg_camera() as url:
        watched = Watched(url.replace("http://", "http://me:hidden@") + "-locked")
        reading = threading.Thread(target=watched.read, args=[at_least(1)])
        reading.start()
        failed = watched.wait_for(State.FAILED)
        watched.source.close()
        reading.join()
    assert "401" in failed.last_error
    assert "hidden" not in f"{watched.told}"


def test_frames_are_as_old_as_the_cameras_reports_say():
    with gst_camera() as camera:
        ages = []

        def enough(items):
            if isinstance(items[-1], Frame):  # a machine with much else to do makes breaks
                ages.append(time.monotonic() - items[-1].captured_at)
            return len(ages) >= 160

        Watched(camera.url()).read(enough)
    assert min(ages[:20]) < min(ages[-20:]), "before the first report a frame is as old as its arrival"
    assert 0.03 < min(ages[-20:]) < 3


def test_pictures_without_times_have_those_of_their_arrival_and_the_rate_is_measured():
    with mjpeg_camera(step_s=0.1) as url:
        watched = Watched(url)
        frames = frames_of(watched.read(at_least(20)))
    assert frames[-1].pts_s - frames[5].pts_s == pytest.approx(1.4, rel=0.25)
    assert watched.source.rate == pytest.approx(10, rel=0.2)


@pytest.mark.parametrize("name", ["a.mp4", "a.m3u8"])
def test_a_finite_stream_is_given_at_its_own_speed_and_ends(tmp_path, name):
    options = {"hls_time": "1", "hls_list_size": "0"} if name.endswith("m3u8") else {}
    write_stream(tmp_path / name, 50, **options)
    with file_server(tmp_path) as url:
        watched = Watched(f"{url}/{name}")
        frames = frames_of(watched.read(lambda items: False))
    assert len(frames) == 50
    assert watched.source.rate == 25.0
    assert frames[-1].captured_at - frames[0].captured_at == pytest.approx(49 / 25, rel=0.1)
    assert watched.source.status().state is State.ENDED


def test_a_playlist_cannot_lead_to_files_of_this_machine(tmp_path):
    write_stream(tmp_path / "a.m3u8", 50, hls_time="1", hls_list_size="0")
    playlist = (tmp_path / "a.m3u8").read_text().replace("a0.ts", f"file://{tmp_path}/a0.ts")
    (tmp_path / "a.m3u8").write_text(playlist)
    with file_server(tmp_path) as url:
        frames = frames_of(Watched(f"{url}/a.m3u8").read(at_least(20)))
    assert min(int(frame.pixels.min()) for frame in frames) > 30


def test_a_stream_without_video_is_said_to_have_none(tmp_path):
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    with file_server(tmp_path) as url:
        _, news = Watched(f"{url}/a.srt").first_told()
    assert news == "holds no video stream"
