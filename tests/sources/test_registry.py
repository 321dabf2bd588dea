import pytest

from pipeline.clock import ManualClock
from pipeline.errors import ConfigError
from pipeline.items import Frame
from sources.base import FrameGeometry
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


@pytest.mark.parametrize(
    "spec",
    ["", "nowhere.mp4", "pattern:", "pattern:waves", "pattern:motions?fps=-1", "pattern:motions?clips=0"],
)
def test_what_is_no_source_is_refused(spec):
    with pytest.raises(ConfigError, match="source"):
        opened(spec)
