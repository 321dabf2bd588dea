"""The fuzzing benchmark sees what a message takes: all that it is known to see would not pass unnoticed."""

import math
import sys

import msgpack
import pytest

from benchmarks.fuzz.bombs import bombs
from benchmarks.fuzz.corpus import messages
from benchmarks.fuzz.cost import Cold, handle
from models import create_model
from stages.tail_service import TailService
from transport.codecs import get_codec, most_bytes, video

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's books under /proc")
MODEL = create_model("motions")
CORPUS = messages(MODEL)


def of_codec(codec: str) -> list[bytes]:
    return [message for message in bombs(CORPUS) if msgpack.unpackb(message)["codec"] == codec]


def test_every_codec_of_frames_has_bombs_of_the_size_that_a_cloud_takes() -> None:
    for codec, count in (("png", 1), ("jpeg:90", 2), ("h264:23", 5)):
        found = [msgpack.unpackb(message) for message in of_codec(codec)][:count]
        assert len(found) == count
        for fields in found:
            most = most_bytes("pixels", tuple(fields["shape"]))
            assert most - 12 < len(fields["payload"]) <= most


def test_a_png_of_blocks_without_pixels_comes_as_far_as_its_decoder() -> None:
    fields = msgpack.unpackb(of_codec("png")[-1])
    shape = tuple(fields["shape"])
    assert 0.99 < len(fields["payload"]) / math.prod(shape) < 1.02
    assert not get_codec("png").decode(fields["payload"], shape).any()


def test_a_bomb_that_goes_off_is_seen_although_another_has_before(monkeypatch: pytest.MonkeyPatch) -> None:
    service, bomb = TailService(MODEL), of_codec("h264:23")[0]
    for message in CORPUS:
        handle(service, message)
    guarded = Cold(service, CORPUS)
    monkeypatch.setattr(video, "check_parameter_sets", lambda *_: None)
    open_to_all = Cold(service, CORPUS)
    handle(service, bomb)
    assert open_to_all.beyond_bytes(bomb) > 10_000_000
    assert guarded.beyond_bytes(bomb) <= 132 * 1024
