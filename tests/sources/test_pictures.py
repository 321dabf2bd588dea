import threading
from pathlib import Path

import av
import numpy as np
import pytest

from sources.pictures import Pictures
from sources.writer import write_video
from tests.data import shared_data


@pytest.fixture
def video(tmp_path: Path) -> Path:
    frames = (np.full((32, 32, 3), index * 2, np.uint8) for index in range(100))
    write_video(tmp_path / "a.mp4", frames, 25)
    return tmp_path / "a.mp4"


def test_all_of_a_sound_video_decodes(video: Path) -> None:
    with av.open(str(video)) as container:
        pictures = Pictures(container, container.streams.video[0], threading.Event())
        assert len(list(pictures)) == pictures.decoded == pictures.packets == 100
        assert pictures.broken == 0


def test_closing_ends_at_the_next_packet(video: Path) -> None:
    closing = threading.Event()
    with av.open(str(video)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        pictures = Pictures(container, container.streams.video[0], closing)
        for seen, _ in enumerate(pictures, 1):
            if seen == 5:
                closing.set()
    assert 5 <= pictures.decoded < 10


def test_a_bad_packet_costs_no_picture_but_its_own() -> None:
    with av.open(str(shared_data("videos", "odd", "corrupted.mp4"))) as container:
        pictures = Pictures(container, container.streams.video[0], threading.Event())
        assert len(list(pictures)) == 49
    assert (pictures.packets, pictures.broken) == (50, 1)
    assert "1 of 50 packets" in pictures.damage


def test_a_container_that_breaks_still_yields_what_the_decoder_holds(video: Path) -> None:
    class Breaking:
        def __init__(self, container: av.container.InputContainer) -> None:
            self._container = container

        def demux(self, stream: av.VideoStream):  # type: ignore[no-untyped-def]
            for number, packet in enumerate(self._container.demux(stream)):
                if number == 60:
                    raise av.error.InvalidDataError(1, "cable cut")
                yield packet

    with av.open(str(video)) as container:
        pictures = Pictures(Breaking(container), container.streams.video[0], threading.Event())  # type: ignore[arg-type]
        assert len(list(pictures)) == 60
    assert pictures.broken == 1
    assert "cable cut" in pictures.damage
