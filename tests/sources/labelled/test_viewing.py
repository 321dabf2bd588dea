import gc
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.errors import ConfigError, SourceError
from pipeline.items import Pixels
from sources.base import FrameGeometry
from sources.file import FileSource
from sources.geometry import to_square
from sources.labelled import viewing
from sources.labelled.examples import Example, open_examples
from sources.labelled.protocol import Protocol
from sources.labelled.viewing import views
from sources.writer import write_video
from tests.data import shared_data
from tests.sources.labelled.test_store import zipped

SMALL = FrameGeometry(16)


def shades(count: int, height: int = 32, width: int = 32) -> list[Pixels]:
    return [np.full((height, width, 3), 10 + index % 240, np.uint8) for index in range(count)]


def only(path: Path) -> Example:
    with open_examples(path) as examples:
        (example,) = examples
    return example


def video(path: Path, frames: Iterable[Pixels]) -> Example:
    write_video(path, frames, 25, crf=1)
    return only(path)


def frame_numbers(seen: Pixels) -> list[list[int]]:
    """Which frame of `shades` each picture shows."""
    return (np.rint(seen.mean((2, 3, 4))).astype(int) - 10).tolist()


def test_views_of_a_video_are_its_protocols_frames(tmp_path: Path) -> None:
    protocol = Protocol(3, 1, stride=2)
    seen = views(video(tmp_path / "a.mp4", shades(50)), SMALL, 8, protocol)
    assert seen.shape == (3, 8, 16, 16, 3)
    assert seen.dtype == np.uint8
    assert np.abs(np.array(frame_numbers(seen)) - protocol.positions(50, 8)).max() <= 1


def test_a_short_video_repeats_its_last_frame(tmp_path: Path) -> None:
    seen = views(video(tmp_path / "a.mp4", shades(3)), SMALL, 5, Protocol(2, stride=1))
    assert np.array_equal(seen[0], seen[1])
    assert np.array_equal(seen[0, 2], seen[0, 4])
    assert not np.array_equal(seen[0, 1], seen[0, 2])


@pytest.mark.parametrize("upright", [False, True])
def test_three_crops_of_each_clip_lie_side_by_side(tmp_path: Path, upright: bool) -> None:
    thirds = np.repeat(np.uint8([40, 120, 200]), 32)
    pixels = np.broadcast_to(thirds[None, :, None], (32, 96, 3))
    frames = [np.ascontiguousarray(pixels.swapaxes(0, 1) if upright else pixels)] * 20
    seen = views(video(tmp_path / "a.mp4", frames), SMALL, 4, Protocol(2, 3))
    assert seen.shape == (6, 4, 16, 16, 3)
    assert np.abs(seen[:, :, 4:12, 4:12].mean((1, 2, 3, 4)) - [40, 120, 200] * 2).max() <= 3


@pytest.mark.parametrize("told", [5, 49, 51, 500])
def test_a_wrong_count_of_packets_does_not_move_the_views(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: int
) -> None:
    example = video(tmp_path / "a.mp4", shades(50))
    right = views(example, SMALL, 4, Protocol(3))
    monkeypatch.setattr(FileSource, "count_packets", lambda self: told)
    assert np.array_equal(views(example, SMALL, 4, Protocol(3)), right)


def test_a_video_that_grows_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = video(tmp_path / "a.mp4", shades(50))
    pictures, lengths = FileSource.pictures, iter([40, 45])
    monkeypatch.setattr(FileSource, "pictures", lambda self: islice(pictures(self), next(lengths)))
    with pytest.raises(SourceError, match=r"a\.mp4: gave 40 frames, then 45"):
        views(example, SMALL, 4, Protocol(3))


def test_a_count_in_the_header_is_not_believed(tmp_path: Path) -> None:
    example = video(tmp_path / "a.avi", shades(50))
    right = views(example, SMALL, 4, Protocol(3))
    content = bytearray((tmp_path / "a.avi").read_bytes())
    at = content.index(b"strh") + 8 + 32
    assert content[at : at + 4] == (50).to_bytes(4, "little")
    content[at : at + 4] = (5000).to_bytes(4, "little")
    (tmp_path / "a.avi").write_bytes(content)
    assert np.array_equal(views(example, SMALL, 4, Protocol(3)), right)


def test_a_sound_video_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = video(tmp_path / "a.mp4", shades(50))
    decoded: list[str] = []
    pictures = FileSource.pictures
    monkeypatch.setattr(FileSource, "pictures", lambda self: decoded.append(self.name) or pictures(self))
    views(example, SMALL, 4, Protocol(10))
    assert decoded == ["a.mp4"]


@pytest.mark.parametrize("clip_frames", [1, 4])
def test_an_image_is_one_view_that_fills_the_clip(tmp_path: Path, clip_frames: int) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.arange(32 * 48 * 3, dtype=np.uint8).reshape(32, 48, 3))
    seen = views(only(tmp_path / "a.png"), SMALL, clip_frames, Protocol(10, 3))
    assert seen.shape == (1, clip_frames, 16, 16, 3)
    assert (seen == seen[:, :1]).all()


def test_an_image_model_is_shown_single_frames_of_a_video(tmp_path: Path) -> None:
    seen = views(video(tmp_path / "a.mp4", shades(41)), SMALL, 1, Protocol(5))
    assert np.abs(np.array(frame_numbers(seen))[:, 0] - [0, 10, 20, 30, 40]).max() <= 1


def test_a_zip_gives_the_same_views_as_a_folder_in_any_thread(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write_video(folder / "a.mp4", shades(30), 25)
    Image.new("RGB", (40, 30), (9, 99, 199)).save(folder / "b.jpg")
    path = zipped(tmp_path / "data.zip", {each.name: each.read_bytes() for each in folder.iterdir()})
    with open_examples(folder) as plain, open_examples(path) as packed, ThreadPoolExecutor(4) as pool:
        for on_disk, inside in zip(plain, packed, strict=True):
            expected = views(on_disk, SMALL, 4, Protocol(2, 3))
            tasks = [pool.submit(views, inside, SMALL, 4, Protocol(2, 3)) for _ in range(8)]
            assert all(np.array_equal(task.result(), expected) for task in tasks)


@pytest.mark.parametrize("name", ["a.mp4", "a.jpg"])
def test_a_file_over_the_limit_inside_a_zip_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(viewing, "MAX_VIDEO_BYTES", 99)
    monkeypatch.setattr(viewing, "MAX_IMAGE_BYTES", 99)
    with (
        open_examples(zipped(tmp_path / "a.zip", {name: b"x" * 100})) as examples,
        pytest.raises(SourceError, match=f"{name}: 100 bytes are over the limit of 99 bytes"),
    ):
        views(examples[0], SMALL, 4, Protocol())


@pytest.mark.parametrize("name", ["a.mp4", "a.jpg"])
@pytest.mark.parametrize("content", [b"", b"hello" * 100])
def test_a_damaged_file_is_one_error_naming_it(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=f"^{name}: ") as caught:
        views(only(tmp_path), SMALL, 4, Protocol())
    assert "\n" not in str(caught.value)


def test_a_video_with_a_broken_packet_is_refused_not_guessed() -> None:
    example = only(shared_data("videos", "odd", "corrupted.mp4"))
    with pytest.raises(SourceError, match=r"corrupted\.mp4: .*1 of 50 packets"):
        views(example, SMALL, 4, Protocol())


def test_views_that_would_take_too_much_memory_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(ConfigError, match="100x3 views of 64 frames of 4096 x 4096 take"):
        views(only(tmp_path), FrameGeometry(4096), 64, Protocol(100, 3))


@pytest.mark.parametrize("name", ["abseiling_k400.mp4", "basketball_ucf101.avi", "flipping_pancake_k400.mkv"])
def test_real_videos_are_read_from_the_first_frame_to_the_last(name: str) -> None:
    path = shared_data("videos", "actions", name)
    geometry = FrameGeometry(224, 0.875)
    seen = views(only(path), geometry, 16, Protocol.parse("10x1"))
    assert seen.shape == (10, 16, 224, 224, 3)
    with av.open(str(path)) as container:
        pictures = list(container.decode(video=0))
    for picture, pixels in ((pictures[0], seen[0, 0]), (pictures[-1], seen[-1, -1])):
        assert np.array_equal(to_square(picture, geometry), pixels)


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_memory_holds_the_views_and_not_the_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "a.mp4", (shade for _ in range(5) for shade in shades(60, 360, 640)), 25)
    peaks: list[int] = []
    pictures = FileSource.pictures

    def watched(self: FileSource) -> Iterable[av.VideoFrame]:
        for index, picture in enumerate(pictures(self)):
            if index in {20, 299}:
                peaks.append(resident_bytes())
            yield picture

    monkeypatch.setattr(FileSource, "pictures", watched)
    views(only(tmp_path / "a.mp4"), SMALL, 16, Protocol(10))
    # 280 more pictures of 345 KB would be 97 MB.
    assert peaks[1] - peaks[0] < 16e6


def test_a_named_pipe_is_no_video_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f.mp4")
    (tmp_path / "g.mp4").write_bytes(b"x")
    (tmp_path / "labels.csv").write_text("path,label\nf.mp4,0\ng.mp4,1\n")
    with open_examples(tmp_path) as examples:
        pipe = next(example for example in examples if example.name == "f.mp4")
        with pytest.raises(SourceError, match=r"f\.mp4: no such file, or none that is regular"):
            views(pipe, SMALL, 4, Protocol())
