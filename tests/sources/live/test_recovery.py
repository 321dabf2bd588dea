import gc
import random
import signal
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.items import Frame, SourceBreak
from sources.live.backoff import Backoff, Waits
from sources.live.states import State
from tests.sources.live.cameras import (
    PATIENCE_S,
    Watched,
    file_server,
    frames_of,
    free_port,
    gst_camera,
    mjpeg_camera,
    write_stream,
)

DESCRIPTORS = Path("/proc/self/fd")
SOON = Waits(0.01, 0.05, 0.1)


def soon():
    return Backoff(random.Random(1), SOON)


class Reading:
    """A source read in the background until told to stop."""

    def __init__(self, watched):
        self.watched = watched
        self.items = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self):
        for item in self.watched.source.frames():
            self.items.append(item)

    def wait_for_frames(self, count):
        until = time.monotonic() + PATIENCE_S
        while len(frames_of(list(self.items))) < count:
            assert time.monotonic() < until, self.watched.source.status()
            time.sleep(0.02)

    def stop(self):
        self.watched.source.close()
        self._thread.join()
        return self.items


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_camera_that_freezes_is_stalled_then_lost_and_comes_back(transport):
    with gst_camera() as camera:
        watched = Watched(f"{camera.url()}?transport={transport}", soon())
        reading = Reading(watched)
        reading.wait_for_frames(1)
        camera.signal(signal.SIGSTOP)
        watched.wait_for(State.STALLED)
        watched.wait_for(State.RECONNECTING)
        camera.signal(signal.SIGCONT)
        running = watched.wait_for(State.RUNNING)
        items = reading.stop()
    assert running.reconnects == 1
    breaks = [index for index, item in enumerate(items) if isinstance(item, SourceBreak)]
    assert len(breaks) >= 1
    frames = frames_of(items)
    assert all(after.pts_s > before.pts_s for before, after in pairwise(frames))
    assert frames[-1].pts_s == pytest.approx(frames[-1].captured_at - frames[0].captured_at, abs=0.5)


def test_a_camera_that_is_killed_and_started_again_goes_on_as_the_same_source():
    with gst_camera() as camera:
        watched = Watched(camera.url(), soon())
        reading = Reading(watched)
        watched.wait_for(State.RUNNING)
        camera.kill()
        lost = watched.wait_for(State.RECONNECTING)
        camera.start()
        watched.wait_for(State.RUNNING)
        items = reading.stop()
    assert lost.last_error
    frames = frames_of(items)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert watched.source.status().reconnects == 1


def test_a_camera_that_is_down_at_first_is_waited_for():
    port = free_port()
    watched = Watched(f"rtsp://me:hidden@127.0.0.1:{port}/cam", soon())
    reading = Reading(watched)
    while not watched.told:
        time.sleep(0.01)
    status = watched.source.status()
    assert reading.stop() == []
    assert status.state is State.CONNECTING
    assert "refused" in status.last_error
    assert "hidden" not in f"{watched.told}"


def test_a_live_playlist_that_grows_is_followed_across_its_discontinuities(tmp_path):
    write_stream(tmp_path / "a.m3u8", 75, hls_time="1", hls_list_size="0")
    head, *pieces = (tmp_path / "a.m3u8").read_text().replace("#EXT-X-ENDLIST\n", "").split("#EXTINF")
    pieces = [f"#EXTINF{piece}" for piece in pieces]

    def publish(*pieces):
        (tmp_path / "new").write_text(head + "".join(pieces))
        (tmp_path / "new").rename(tmp_path / "live.m3u8")

    publish(pieces[0])
    with file_server(tmp_path) as url:
        reading = Reading(Watched(f"{url}/live.m3u8", soon()))
        reading.watched.wait_for(State.RUNNING)
        publish(*pieces)
        reading.wait_for_frames(60)
        publish(*pieces, "#EXT-X-DISCONTINUITY\n", pieces[0])
        reading.wait_for_frames(90)
        frames = frames_of(reading.stop())
    assert reading.watched.source.status().reconnects == 0
    assert all(after.pts_s > before.pts_s for before, after in pairwise(frames))


def open_descriptors():
    gc.collect()
    return sum(1 for _ in DESCRIPTORS.iterdir())


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="counts descriptors in /proc")
def test_reconnecting_again_and_again_leaks_neither_threads_nor_descriptors():
    with mjpeg_camera(step_s=0.001, most=6) as url:
        watched = Watched(url, soon())
        threads, descriptors, before = [], [], set(threading.enumerate())

        def enough(items):
            if isinstance(items[-1], SourceBreak):
                own = set(threading.enumerate()) - before
                threads.append(sum(each.name == "camera cam" for each in own))
                if len(threads) in (1, 6):  # to collect garbage takes seconds in a process as large as this
                    descriptors.append(open_descriptors())
            return len(threads) >= 6

        items = watched.read(enough)
    assert watched.source.status().reconnects >= 5
    assert set(threads) == {1}
    assert descriptors[1] <= descriptors[0] + 3
    assert isinstance(items[0], Frame)
