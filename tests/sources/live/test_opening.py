import pytest

from sources.file import MAX_PIXELS
from sources.live.opening import opening_of
from sources.live.url import parse_address


def opening(spec):
    return opening_of(parse_address(spec))


@pytest.mark.parametrize("spec", ["rtsp://a:b@h/c", "https://a:b@h/c", "webcam:/dev/video0"])
def test_every_kind_has_both_timeouts_a_stall_before_them_and_a_limit_for_pictures(spec):
    kind = opening(spec)
    assert 0 < kind.stall_s < kind.read_s
    assert kind.open_s > 0
    assert kind.options["max_pixels"] == str(MAX_PIXELS)
    assert "a:b" not in repr(kind)


def test_rtsp_goes_over_tcp_unless_told_and_holds_nothing_back_over_udp():
    tcp, udp = opening("rtsp://h/c").options, opening("rtsp://h/c?transport=udp").options
    assert (tcp["rtsp_transport"], udp["rtsp_transport"]) == ("tcp", "udp")
    assert "max_delay" not in tcp
    assert udp["max_delay"] == "0"
    assert tcp["timeout"] == "2000000"


@pytest.mark.parametrize("spec", ["rtsp://h/c", "http://h/c"])
def test_nothing_that_a_camera_says_leads_to_files_of_this_machine(spec):
    assert "file" not in opening(spec).options["protocol_whitelist"]


def test_a_webcam_is_told_size_and_rate():
    kind = opening("webcam:/dev/video0?size=640x480&fps=15")
    assert (kind.url, kind.format) == ("/dev/video0", "v4l2")
    assert (kind.options["video_size"], kind.options["framerate"]) == ("640x480", "15")
