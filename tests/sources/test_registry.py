import pytest

from pipeline.clock import ManualClock
from pipeline.errors import ConfigError
from pipeline.items import Frame
from sources.base import FrameGeometry
from sources.live.states import State
from sources.registry import open_sources


def opened(*specs):
    return open_sources(specs, FrameGeometry(64), 16, ManualClock())


def test_a_pattern_is_made_as_it_is_written():
    (source,) = opened("pattern:motions?fps=50&seed=3&clips=1")
    assert (source.name, source.rate) == ("pattern", 50.0)


def test_sources_of_one_name_are_told_apart(tmp_path):
    paths = [tmp_path / folder / "door.mp4" for folder in "ab"]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(b"not opened yet")
    names = [source.name for source in opened(*map(str, paths), "pattern:motions", "pattern:motions")]
    assert names == ["door", "door-2", "pattern", "pattern-2"]


def test_the_geometry_reaches_the_frames():
    (source,) = opened("pattern:motions?fps=1000&clips=1")
    frame = next(iter(source.frames()))
    assert isinstance(frame, Frame)
    assert frame.pixels.shape == (64, 64, 3)


def test_cameras_are_called_by_host_and_port_and_told_apart():
    specs = ["rtsp://me:pw@door/1", "rtsp://you:pw@door/1", "http://yard/cam?token=abc", "rtsps://door/2"]
    assert [source.name for source in opened(*specs)] == ["door", "door-2", "yard", "door-3"]


def test_whoever_opens_cameras_hears_how_they_fare():
    heard = []

    def on_change(status, news):
        heard.append(status.state)
        source.close()

    specs = ["rtsp://127.0.0.1:1/cam"]
    (source,) = open_sources(specs, FrameGeometry(64), 16, ManualClock(), on_change=on_change)
    assert list(source.frames()) == []
    assert heard == [State.CONNECTING, State.ENDED]


def test_a_name_before_the_address_is_the_sources_name(tmp_path):
    (tmp_path / "a=b.mp4").write_bytes(b"not opened yet")
    (tmp_path / "door.mp4").write_bytes(b"not opened yet")
    specs = ["front=rtsp://me:p=w@door/1?a=b", f"yard={tmp_path}/door.mp4", "x=pattern:motions?fps=9"]
    assert [source.name for source in opened(*specs, f"{tmp_path}/a=b.mp4")] == ["front", "yard", "x", "a=b"]


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("rtps://me:hidden@door/1", "unknown scheme 'rtps'; there are rtsp, rtsps"),
        ("rtsp://me:hidden@", "write rtsp://USER"),
        ("front=rtsp://me:hidden/@door/1", "%2F"),
        ("me:hidden@door/1", "no such file"),
        ("rtsp:/me:hidden@door/1", "write rtsp://USER"),
        ("webcam:/dev/video99", "no such device"),
    ],
)
def test_what_is_no_camera_is_one_line_without_its_password(spec, named):
    with pytest.raises(ConfigError, match=named) as caught:
        opened(spec)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "spec",
    ["", "nowhere.mp4", "pattern:", "pattern:waves", "pattern:motions?fps=-1", "pattern:motions?clips=0"],
)
def test_what_is_no_source_is_refused(spec):
    with pytest.raises(ConfigError, match="source"):
        opened(spec)
