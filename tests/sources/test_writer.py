from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.items import Pixels
from sources.writer import write_video


def plain(count: int, height: int = 32, width: int = 48) -> list[Pixels]:
    return [np.full((height, width, 3), (20 + index * 5, 120, 200), np.uint8) for index in range(count)]


@pytest.mark.parametrize(
    ("fps", "rate"), [(25, Fraction(25)), (29.97, Fraction(2997, 100)), (12.5, Fraction(25, 2))]
)
def test_what_is_written_is_read_back(tmp_path: Path, fps: float, rate: Fraction) -> None:
    write_video(tmp_path / "a.mp4", iter(plain(30)), fps)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].average_rate == rate
        back = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert np.abs(np.stack(back).astype(int) - np.stack(plain(30))).max() <= 6


@pytest.mark.parametrize(
    ("frames", "named"),
    [([], "no frames"), (plain(2, 31), "even"), ([*plain(2), *plain(1, 64)], "after")],
)
def test_frames_that_make_no_video_are_refused(tmp_path: Path, frames: list[Pixels], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        write_video(tmp_path / "a.mp4", frames, 25)
