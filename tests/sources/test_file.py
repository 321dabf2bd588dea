import gc
import os
import threading
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.clock import ManualClock
from pipeline.errors import SourceError
from pipeline.items import Clip, Frame, Pixels
from sources import file as file_room
from sources.base import FrameGeometry
from sources.clips import ClipAssembler, ClipSettings
from sources.file import FileSource, estimate_frames
from sources.geometry import to_square
from sources.writer import write_video
from tests.data import ROOT, shared_data
from tests.sources.live.cameras import write_raw

VIDEOS = sorted(path for path in (ROOT / "videos").rglob("*.m*") if path.name != "corrupted.mp4")
VIDEOS += sorted((ROOT / "videos").rglob("*.avi"))


def shades(count: int, size: int = 32) -> list[Pixels]:
    return [np.full((size, size, 3), 10 + index % 240, np.uint8) for index in range(count)]


def source(path: Path, size: int = 32) -> FileSource:
    return FileSource(path, "name", FrameGeometry(size), ManualClock(5.0))


def read(path: Path, size: int = 32) -> list[Frame]:
    return list(source(path, size).frames())


def read_until_error(path: Path) -> tuple[list[Frame], str]:
    frames: list[Frame] = []
    with pytest.raises(SourceError) as caught:
        frames.extend(source(path).frames())
    return frames, str(caught.value)


def clips_of(path: Path, spec: ClipSettings) -> list[Clip]:
    reading = source(path)
    frames = reading.frames()
    first = next(frames)
    assembler = ClipAssembler("name", spec, reading.rate)
    clips = assembler.add(first)
    for frame in frames:
        clips += assembler.add(frame)
    return clips + assembler.finish()


def remux(video: Path, target: Path, **options: str) -> Path:
    with av.open(str(video)) as before, av.open(str(target), "w", options=options) as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        for packet in before.demux(before.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                after.mux(packet)
    return target


@pytest.fixture
def video(tmp_path: Path) -> Path:
    write_video(tmp_path / "video.mp4", shades(60), 25)
    return tmp_path / "video.mp4"


def test_frames_carry_picture_number_time_and_source(video: Path) -> None:
    reading = source(video)
    assert reading.rate is None
    frames = list(reading.frames())
    assert reading.rate == 25
    assert [frame.index for frame in frames] == list(range(60))
    assert [frame.pts_s for frame in frames] == pytest.approx([index / 25 for index in range(60)])
    assert {(frame.source, frame.captured_at) for frame in frames} == {("name", 5.0)}
    shown = np.stack([frame.pixels for frame in frames]).astype(int)
    assert np.abs(shown - np.stack(shades(60))).max() <= 4


@pytest.mark.parametrize("kind", ["avi", "mkv", "ts", "h264", "mov"])
@pytest.mark.parametrize("b_frames", [0, 3])
def test_every_container_gives_frames_a_period_apart(tmp_path: Path, kind: str, b_frames: int) -> None:
    path = tmp_path / f"a.{kind}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"bf": str(b_frames), "b_strategy": "0"}
        for shade in shades(50):
            picture = cv2.resize(shade, (64, 48)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    frames = read(path)
    assert len(frames) == 50
    steps = [after.pts_s - before.pts_s for before, after in pairwise(frames)]
    assert steps == pytest.approx([0.04] * 49, abs=1e-3)
    shown = [int(frame.pixels[8, 8, 0]) for frame in frames]
    assert shown == sorted(shown)


def test_a_variable_frame_rate_keeps_its_times(tmp_path: Path) -> None:
    ticks = [0, 1, 2, 12, 13, 25]
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for shade, tick in zip(shades(6), ticks, strict=True):
            picture = av.VideoFrame.from_ndarray(shade, format="rgb24")
            picture.pts, picture.time_base = tick, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    times = [frame.pts_s for frame in read(tmp_path / "a.mkv")]
    assert times == pytest.approx([tick / 25 for tick in ticks])


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_picture_is_a_video_of_one_frame(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"12:30 %03d.{suffix}"
    cv2.imwrite(str(path), np.full((50, 60, 3), 120, np.uint8))
    (clip,) = clips_of(path, ClipSettings(1))
    assert np.abs(clip.frames.astype(int) - 120).max() <= 2


def test_closing_from_another_thread_ends_the_reading(video: Path) -> None:
    reading = source(video)
    seen = 0
    for seen, _ in enumerate(reading.frames(), 1):
        if seen == 3:
            closer = threading.Thread(target=reading.close)
            closer.start()
            closer.join()
    assert 3 <= seen < 10


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("absent.mp4", None, "no such file"),
        ("empty.mp4", b"", "empty"),
        ("text.mp4", b"hello\n" * 100, "not a video"),
        ("text.txt", b"hello\n" * 100, "no video stream"),
        (".", None, "not a video"),
    ],
)
def test_what_is_not_a_video_is_one_error_naming_it(
    tmp_path: Path, name: str, content: bytes | None, named: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    frames, message = read_until_error(path)
    assert not frames
    assert str(path) in message
    assert named in message
    assert "\n" not in message


def test_pictures_over_the_limit_are_refused_before_they_are_decoded(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_room, "MAX_PIXELS", 1000)
    frames, message = read_until_error(video)
    assert not frames
    assert "1000 pixels" in message


def test_a_file_cut_short_yields_what_is_there_and_then_one_error(video: Path, tmp_path: Path) -> None:
    whole = remux(video, tmp_path / "whole.mp4", movflags="faststart").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) - 200])
    frames, message = read_until_error(tmp_path / "cut.mp4")
    assert 0 < len(frames) < 60
    assert f"{len(frames)} frames were read" in message


def test_a_file_cut_between_two_packets_is_noticed_too(video: Path, tmp_path: Path) -> None:
    path = remux(video, tmp_path / "whole.mp4", movflags="faststart")
    with av.open(str(path)) as container:
        entry = container.streams.video[0].index_entries[40]
    os.truncate(path, entry.pos)
    frames, message = read_until_error(path)
    assert len(frames) == 40
    assert "cut short" in message


def test_a_broken_packet_costs_one_frame_and_is_told_at_the_end() -> None:
    path = shared_data("videos", "odd", "corrupted.mp4")
    frames, message = read_until_error(path)
    assert len(frames) == 49
    assert str(path) in message
    assert "1 of 50 packets" in message


def test_a_rotation_flag_is_honoured(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16, :16] = 200
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.set_display_rotation(90)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    (frame,) = read(tmp_path / "a.mp4")
    turned = np.rot90(pixels, 1)
    assert np.abs(frame.pixels.astype(int) - turned).mean() < 10


@pytest.mark.parametrize("path", VIDEOS, ids=lambda path: path.name)
def test_real_videos_give_every_frame_once_with_rising_times(path: Path) -> None:
    with av.open(str(path)) as container:
        plain = sum(1 for _ in container.decode(video=0))
    frames = read(path)
    assert len(frames) == plain
    assert all(before.pts_s < after.pts_s for before, after in pairwise(frames))
    assert abs((estimate_frames(path) or 0) - plain) <= 1


@pytest.mark.parametrize("path", VIDEOS, ids=lambda path: path.name)
def test_real_videos_make_clips_of_all_their_frames(path: Path) -> None:
    clips = clips_of(path, ClipSettings(16))
    with av.open(str(path)) as container:
        plain = sum(1 for _ in container.decode(video=0))
    taken = sum(16 - clip.padded for clip in clips)
    # brother.mkv lacks one frame in the middle of its own time, which is filled with a repeat.
    assert 0 <= taken - plain <= 1
    assert all(clip.frames.shape == (16, 32, 32, 3) for clip in clips)
    assert len(clips) == -(-taken // 16)


@pytest.mark.parametrize("name", ["video_0.mov", "video_90.mov"])
def test_a_video_of_three_frames_makes_one_padded_clip(name: str) -> None:
    (clip,) = clips_of(shared_data("videos", "odd", name), ClipSettings(16))
    assert clip.padded == 13


def test_an_estimate_is_none_where_the_header_says_nothing(tmp_path: Path, video: Path) -> None:
    (tmp_path / "text.mp4").write_text("hello")
    assert estimate_frames(video) == 60
    assert estimate_frames(tmp_path / "text.mp4") is None
    assert estimate_frames(tmp_path / "absent.mp4") is None


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_memory_stays_flat_over_a_long_video(tmp_path: Path) -> None:
    write_video(tmp_path / "long.mp4", (shade for _ in range(20) for shade in shades(120, 64)), 25)
    reading = FileSource(tmp_path / "long.mp4", "name", FrameGeometry(224), ManualClock())
    assembler = ClipAssembler("name", ClipSettings(16), 25.0)
    early = 0
    for frame in reading.frames():
        assembler.add(frame)
        if frame.index == 300:
            early = resident_bytes()
    # 2100 more frames of 150 KB would be 316 MB.
    assert resident_bytes() - early < 16e6


def test_pictures_are_those_that_frames_shows(video: Path) -> None:
    shown = [to_square(picture, FrameGeometry(32)) for picture in source(video).pictures()]
    assert np.array_equal(np.stack(shown), np.stack([frame.pixels for frame in read(video)]))


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_a_video_in_memory_reads_like_one_on_disk(video: Path, tmp_path: Path, kind: str) -> None:
    path = remux(video, tmp_path / f"again.{kind}")
    held = FileSource(Path("absent.mp4"), "name", FrameGeometry(32), ManualClock(5.0), path.read_bytes())
    assert [frame.pixels.sum() for frame in held.frames()] == [frame.pixels.sum() for frame in read(path)]
    assert held.count_packets() == 60


@pytest.mark.parametrize(("content", "named"), [(b"", "empty"), (b"hello" * 100, "not a video")])
def test_bytes_that_are_no_video_are_one_error_naming_them(content: bytes, named: str) -> None:
    held = FileSource(Path("in.zip/a.mp4"), "name", FrameGeometry(32), ManualClock(), content)
    for reading in (held.frames, held.pictures):
        with pytest.raises(SourceError, match=f"in.zip/a.mp4: .*{named}"):
            next(iter(reading()))


def test_bytes_cut_between_two_packets_are_noticed(video: Path, tmp_path: Path) -> None:
    path = remux(video, tmp_path / "whole.mp4", movflags="faststart")
    with av.open(str(path)) as container:
        entry = container.streams.video[0].index_entries[40]
    cut = path.read_bytes()[: entry.pos]
    with pytest.raises(SourceError, match="cut short; 40 frames"):
        list(FileSource(path, "name", FrameGeometry(32), ManualClock(), cut).pictures())


@pytest.mark.parametrize("path", VIDEOS, ids=lambda path: path.name)
def test_real_videos_hold_as_many_pictures_as_packets(path: Path) -> None:
    assert source(path).count_packets() == sum(1 for _ in source(path).pictures())


@pytest.mark.parametrize(("form", "side", "said"), [("bgr4", 64, "bgr4"), ("bayer_bggr8", 1, "1 x 1")])
def test_pictures_that_cannot_be_converted_are_the_error_of_their_file(
    tmp_path: Path, form: str, side: int, said: str
) -> None:
    write_raw(tmp_path / "a.nut", form, side)
    frames, error = read_until_error(tmp_path / "a.nut")
    assert frames == []
    assert error.startswith(f"name: {tmp_path}/a.nut: ")
    assert said in error and "cannot be converted" in error
    with pytest.raises(SourceError, match="cannot be converted"):
        next(source(tmp_path / "a.nut").pictures())
