import logging

import av
import cv2
import numpy as np
import pytest

from pipeline.errors import ConfigError, SourceError
from sources.camera import film as film_room
from sources.camera.film import Film
from sources.camera.h264 import kind_of
from sources.motions import motion_sequence
from sources.writer import write_video
from tests.data import shared_data
from tests.sources.test_file import shades

BASELINE = 66


def frames_of(film, count):
    return [film.next() for _ in range(count)]


def decoded(frames):
    """RGB pictures of encoded frames, one for each as it comes."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    decoder.options = {"flags": "low_delay"}
    streams = [b"".join(b"\0\0\0\1" + unit for unit in frame.units) for frame in frames]
    packets = [decoder.decode(av.Packet(stream)) for stream in streams]
    return [
        picture.to_ndarray(format="rgb24")
        for pictures in [*packets, decoder.decode(None)]
        for picture in pictures
    ]


@pytest.fixture
def video(tmp_path):
    write_video(tmp_path / "video.mp4", shades(20, 48), 10)
    return str(tmp_path / "video.mp4")


def test_a_video_is_seen_in_order_at_its_own_rate_and_size(video):
    film = Film(video, None)
    seen = decoded(frames_of(film, 20))
    assert (film.rate, film.size) == (10, (48, 48))
    assert np.abs(np.stack(seen).astype(int) - np.stack(shades(20, 48))).max() <= 6


def test_another_rate_can_be_asked_for(video):
    film = Film(video, 4.0)
    keys = [frame.key for frame in frames_of(film, 20)]
    assert film.rate == 4
    assert keys == [index % 4 == 0 for index in range(20)]


def test_every_frame_is_one_slice_and_a_key_frame_comes_every_second_with_its_parameter_sets(video):
    frames = frames_of(Film(video, None), 20)
    assert [frame.key for frame in frames] == [index % 10 == 0 for index in range(20)]
    for frame in frames:
        assert [kind_of(unit) for unit in frame.units] == ([7, 8, 5] if frame.key else [1])
    assert {frame.units[:2] for frame in frames if frame.key} == {frames[0].units[:2]}
    assert frames[0].units[0][1] == BASELINE


def test_the_key_frames_of_the_file_are_not_those_of_the_camera(tmp_path):
    with av.open(str(tmp_path / "keys.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "3", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 48, 48, "yuv420p"
        for shade in shades(20, 48):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shade, format="rgb24")))
        container.mux(stream.encode(None))
    frames = frames_of(Film(str(tmp_path / "keys.mp4"), None), 20)
    assert [frame.key for frame in frames] == [index % 10 == 0 for index in range(20)]


def test_a_short_video_is_encoded_once_and_a_long_one_again_and_again(video, monkeypatch):
    film = Film(video, None)
    first = frames_of(film, 20)
    assert all(again is before for again, before in zip(frames_of(film, 20), first, strict=True))
    monkeypatch.setattr(film_room, "KEPT_BYTES", 100)
    film = Film(video, None)
    first = frames_of(film, 20)
    again = frames_of(film, 20)
    assert again == first
    assert not any(after is before for after, before in zip(again, first, strict=True))


def test_a_pattern_shows_the_motions_of_its_seed_at_its_rate():
    film = Film("pattern:motions?seed=3&fps=8&clips=1", None)
    (picture,) = decoded(frames_of(film, 1))
    drawn = motion_sequence(3, 0, 16, film_room.PATTERN_SIZE)[1][0]
    assert (film.rate, film.size) == (8, (256, 256))
    assert np.abs(picture.astype(int) - drawn).mean() < 8
    again = frames_of(film, 16)[-1]
    assert again.key


def test_sizes_that_h264_lacks_are_made_even(tmp_path):
    cv2.imwrite(str(tmp_path / "odd.png"), np.full((33, 47, 3), 120, np.uint8))
    film = Film(str(tmp_path / "odd.png"), None)
    (picture, *_) = decoded(frames_of(film, 3))
    assert film.size == (46, 32)
    assert np.abs(picture.astype(int) - 120).max() <= 4


def test_a_picture_that_was_taken_sideways_is_shown_upright(tmp_path):
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:16, :32] = 200
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        stream.set_display_rotation(90)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    film = Film(str(tmp_path / "a.mp4"), None)
    (picture,) = decoded(frames_of(film, 1))
    assert film.size == (32, 64)
    assert np.abs(picture.astype(int) - np.rot90(pixels)).mean() < 10


def test_a_damaged_video_goes_round_what_decodes(caplog):
    film = Film(str(shared_data("videos", "odd", "corrupted.mp4")), None)
    frames = frames_of(film, 98)
    assert frames[49] is frames[0]
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "1 of 50 packets" in warning.message


@pytest.mark.parametrize(
    ("name", "content", "kind", "problem"),
    [
        ("gone.mp4", None, ConfigError, "gone.mp4': no such file; give a video, or pattern:motions"),
        ("text.mp4", b"hello" * 100, SourceError, "not a video"),
        ("small.png", np.zeros((8, 8, 3), np.uint8), SourceError, "under 16 pixels"),
    ],
)
def test_what_cannot_be_played_is_one_error_that_names_it(tmp_path, name, content, kind, problem):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        cv2.imwrite(str(tmp_path / name), content)
    with pytest.raises(kind, match=problem):
        Film(str(tmp_path / name), None).next()


@pytest.mark.parametrize("spec", ["pattern:cats", "pattern:motions?fps=0"])
def test_a_pattern_that_is_none_is_refused(spec):
    with pytest.raises(ConfigError, match=spec[:14]):
        Film(spec, None).next()


def test_a_closed_film_lets_go_of_its_file(video):
    film = Film(video, None)
    film.next()
    film.close()
    with pytest.raises(StopIteration):
        film.next()
