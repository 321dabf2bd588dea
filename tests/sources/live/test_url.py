from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from sources.live.url import Address, parse_address, scheme_of

ASCII = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="$"), min_size=1, max_size=12)


@given(ANY, ANY)
def test_user_and_password_reach_the_camera_whatever_they_are_made_of(user, password):
    spec = f"rtsp://{quote(user, safe='')}:{quote(password, safe='')}@host:8554/cam"
    for address in (parse_address(spec), parse_address("rtsp://host:8554/cam", user, password)):
        parts = urlsplit(address.url)
        assert (unquote(parts.username), unquote(parts.password)) == (user, password)
        assert (parts.hostname, parts.port, parts.path) == ("host", 8554, "/cam")


@given(ASCII.filter(lambda text: "$" not in text))
def test_no_password_shows_in_anything_that_is_printed(password):
    secret = f"<{password}>"
    for written in (secret, quote(secret, safe="")):
        try:
            address = parse_address(f"rtsp://admin:{written}@host/cam")
        except ConfigError as error:
            shown = str(error)
        else:
            shown = f"{address!r} {address} {address.shown} {address.stem}"
        assert secret not in shown
        assert quote(secret, safe="") not in shown
        assert "admin" not in shown


def test_user_and_password_may_come_from_the_environment():
    spec = "rtsp://${DOOR_USER}:x${DOOR_PASSWORD}@host/cam"
    address = parse_address(spec, environ={"DOOR_USER": "me", "DOOR_PASSWORD": "a@b"})
    assert address.url == "rtsp://me:xa%40b@host/cam"
    with pytest.raises(ConfigError, match="variable DOOR_PASSWORD is not set"):
        parse_address(spec, environ={"DOOR_USER": "me"})


@pytest.mark.parametrize(
    ("spec", "url", "transport"),
    [
        ("rtsp://h/c", "rtsp://h/c", "tcp"),
        ("RTSP://h/c?transport=UDP", "rtsp://h/c", "udp"),
        ("rtsp://h/c?channel=1&transport=udp&n=%20", "rtsp://h/c?channel=1&n=%20", "udp"),
        ("rtsps://[::1]:322/c?transportmode=unicast", "rtsps://[::1]:322/c?transportmode=unicast", "tcp"),
    ],
)
def test_the_transport_is_ours_and_the_rest_of_the_query_the_cameras(spec, url, transport):
    address = parse_address(spec)
    assert (address.url, address.options) == (url, {"transport": transport})


def test_a_stream_over_http_keeps_its_whole_query():
    address = parse_address("https://me:pw@h/live.m3u8?transport=x&token=abc")
    assert address.url == "https://me:pw@h/live.m3u8?transport=x&token=abc"
    assert address.shown == "https://***@h/live.m3u8?transport=***&token=***"


@pytest.mark.parametrize(
    ("spec", "stem"),
    [
        ("rtsp://user:pw@10.0.0.7:554/Streaming/Channels/101", "10.0.0.7-554"),
        ("rtsps://192.168.1.1:7441/Yq3vN8tKpR2mXw7L", "192.168.1.1-7441"),
        ("rtsp://host/", "host"),
        ("rtsp://host/user=admin&password=tl&channel=1", "host"),
        ("http://[fe80::1]/a%20b/live.m3u8?token=abc", "fe80-1"),
        (f"rtsp://{'x' * 60}/cam", "x" * 48),
        ("webcam:/dev/video0", "video0"),
    ],
)
def test_a_source_is_called_by_its_host_and_port_and_never_by_its_path(spec, stem):
    assert parse_address(spec).stem == stem


def test_a_webcam_has_a_path_and_may_be_told_size_and_rate():
    address = parse_address("webcam:/dev/video2?size=640x480&fps=15")
    assert isinstance(address, Address)
    assert (address.scheme, address.url) == ("webcam", "/dev/video2")
    assert address.options == {"size": "640x480", "fps": "15"}
    assert address.shown == "webcam:/dev/video2?size=640x480&fps=15"


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("rtsp://", "HOST"),
        ("rtsp:/host/cam", "HOST"),
        ("rtsp://host:port/cam", "HOST"),
        ("rtsp://host:0/cam", "HOST"),
        ("rtsp://host:99999/cam", "HOST"),
        ("rtsp://[::1/cam", "HOST"),
        ("rtsp://ho st/cam", "%20"),
        ("rtsp://me:a b@host/cam", "%20"),
        ("rtsp://host/cam?transport=pigeon", "tcp or udp"),
        ("webcam:", "/dev/video0"),
        ("webcam:/dev/video0?speed=3", "/dev/video0"),
        ("webcam:/dev/video0?size=big", "640x480"),
        ("webcam:/dev/video0?fps=0", "whole number"),
    ],
)
def test_what_is_no_address_is_one_clear_line(spec, named):
    with pytest.raises(ConfigError, match=named) as caught:
        parse_address(spec)
    assert str(caught.value).startswith("source ")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("spec", "scheme"),
    [("RTSP://h", "rtsp"), ("webcam:/x", "webcam"), ("a/b:c.mp4", None), ("c:\\door.mp4", None), ("", None)],
)
def test_a_path_has_no_scheme(spec, scheme):
    assert scheme_of(spec) == scheme
