import logging

import pytest

from pipeline.clock import ManualClock
from pipeline.errors import ConfigError
from sources.base import FrameGeometry
from sources.live.make import live_source, log_change
from sources.live.states import SourceStatus, State
from sources.live.url import parse_address


def made(spec):
    return live_source(parse_address(spec), "cam", FrameGeometry(32), ManualClock())


def test_making_a_source_connects_to_nothing():
    source = made("rtsp://127.0.0.1:1/cam")
    assert (source.name, source.rate, source.status().state) == ("cam", None, State.CONNECTING)


def test_a_webcam_that_is_none_is_refused_before_anything_starts(tmp_path):
    (tmp_path / "video0").write_bytes(b"")
    for path, named in ((tmp_path / "video7", "no such device"), (tmp_path / "video0", "not a device")):
        with pytest.raises(ConfigError, match=f"{named}; webcams here: "):
            made(f"webcam:{path}")


def test_a_device_that_is_no_webcam_is_one_that_does_not_answer():
    heard = []
    address = parse_address("webcam:/dev/null")
    source = live_source(
        address,
        "cam",
        FrameGeometry(32),
        ManualClock(),
        on_change=lambda status, news: (heard.append((status.state, news)), source.close()),
    )
    assert list(source.frames()) == []
    assert heard[0][0] is State.CONNECTING
    assert heard[0][1]


def test_trouble_is_a_warning_and_recovery_is_not(caplog):
    with caplog.at_level(logging.INFO):
        log_change(SourceStatus("door", State.RUNNING, 1.0), None)
        log_change(SourceStatus("door", State.FAILED, 1.0), "401")
        log_change(SourceStatus("door", State.RUNNING, 1.0, last_error="401"), None)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "door: running"),
        ("WARNING", "door: failed: 401"),
        ("WARNING", "door: running"),
    ]
