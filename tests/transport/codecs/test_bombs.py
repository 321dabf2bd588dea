"""However a payload is made, decoding it takes memory for the declared shape and a little beside."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from tests.transport.codecs.bombs import PIXELS, Bomb, bombs, chunk, png, video_bombs
from tests.transport.codecs.clips import smooth_clip
from transport.codecs import framing, get_codec

ROOT = Path(__file__).resolve().parents[3]
FACTOR = 4
BESIDE_BYTES = 8_000_000

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's books under /proc")


def peaks(requests: list[tuple[str, tuple[int, ...], bytes]], folder: Path) -> list[dict[str, object]]:
    """For each payload: its error, if any, and what decoding took."""
    lines = []
    for number, (codec, shape, data) in enumerate(requests):
        path = folder / str(number)
        path.write_bytes(data)
        lines.append(json.dumps({"codec": codec, "shape": shape, "path": str(path)}))
    command = [sys.executable, "-m", "tests.transport.codecs.peak"]
    out = subprocess.run(
        command, input="\n".join(lines), capture_output=True, text=True, cwd=ROOT, check=True
    )
    return [json.loads(line) for line in out.stdout.splitlines()]


@pytest.fixture(scope="module")
def made() -> dict[str, Bomb]:
    return bombs()


def test_a_bomb_takes_no_more_memory_than_what_was_declared(made: dict[str, Bomb], tmp_path: Path) -> None:
    taken = peaks([(bomb.codec, bomb.shape, bomb.data) for bomb in made.values()], tmp_path)
    for (name, bomb), found in zip(made.items(), taken, strict=True):
        assert (found["error"] is not None) == bomb.refused, name
        most = FACTOR * 4 * math.prod(bomb.shape) + BESIDE_BYTES
        assert 0 <= found["peak_bytes"] <= most, name
        assert 0 <= found["reserved_bytes"] <= most, name


def test_the_measure_sees_a_bomb_that_goes_off(made: dict[str, Bomb], tmp_path: Path) -> None:
    bomb = framing.split("", made["png with a hundred texts"].data, 1)[0]
    (found,) = peaks([("libpng", PIXELS[1:], bomb)], tmp_path)
    assert found["peak_bytes"] > 500_000_000


def test_what_is_honest_stays_within_the_same_bounds(tmp_path: Path) -> None:
    clip = smooth_clip(16, 224)
    codecs = ("raw+zstd", "raw+lz4", "raw+lzw", "png", "jpeg:90", "h264:23")
    requests = [(codec, clip.shape, get_codec(codec).encode(clip)) for codec in codecs]
    for codec, found in zip(codecs, peaks(requests, tmp_path), strict=True):
        assert found["error"] is None, codec
        assert found["peak_bytes"] <= FACTOR * clip.nbytes + BESIDE_BYTES, codec


def test_each_bomb_is_what_it_says(made: dict[str, Bomb]) -> None:
    assert all(len(bomb.data) < 16_000_000 for bomb in made.values())
    assert png(chunk(b"IDAT", b""))[:8] == b"\x89PNG\r\n\x1a\n"
    assert set(video_bombs()) < set(made)
