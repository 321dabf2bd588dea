import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.camera.rtsp import (
    MOST_BODY_BYTES,
    MOST_HEADER_BYTES,
    MOST_HEADERS,
    BadRequest,
    Interleaved,
    Request,
    RequestParser,
    Response,
)

WORDS = st.text("abcxyz0189=-;/ ", max_size=30).map(str.strip)
REQUESTS = st.builds(
    Request,
    st.sampled_from(["OPTIONS", "PLAY", "GET_PARAMETER"]),
    st.sampled_from(["*", "rtsp://h/stream", "rtsp://h:1/stream/trackID=0"]),
    st.dictionaries(st.sampled_from(["cseq", "session", "user-agent"]), WORDS),
)
FRAMES = st.builds(Interleaved, st.integers(0, 255), st.binary(max_size=300))
FRAGMENTS = st.sampled_from(
    [
        b"OPTIONS * RTSP/1.0\r\n",
        b"CSeq: 1\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"$",
        b"$\0\0\2ab",
        b"Content-Length: 9",
    ]
)


def encoded(item, body=b""):
    if isinstance(item, Interleaved):
        return b"$" + bytes((item.channel,)) + len(item.payload).to_bytes(2, "big") + item.payload
    lines = [f"{item.method} {item.url} RTSP/1.0"]
    lines += [f"{name.title()}: {value}" for name, value in item.headers.items()]
    lines += [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def parsed(data, cuts=()):
    """All items of `data`, fed in pieces that end at `cuts`."""
    parser, items, start = RequestParser(), [], 0
    for end in [*sorted(cuts), len(data)]:
        parser.feed(data[start:end])
        start = max(start, end)
        while (item := parser.next()) is not None:
            items.append(item)
    return items, parser.unfinished


@given(st.lists(REQUESTS | FRAMES, max_size=6), st.lists(st.integers(0, 600), max_size=8))
def test_requests_and_frames_come_out_as_they_went_in_however_they_are_cut(items, cuts):
    assert parsed(b"".join(map(encoded, items)), cuts) == (items, False)


@given(st.binary(max_size=200) | st.lists(FRAGMENTS | st.binary(max_size=9)).map(b"".join))
def test_any_bytes_are_items_a_wish_for_more_or_a_refusal(data):
    try:
        items, _ = parsed(data)
    except BadRequest as error:
        assert error.status in (400, 413, 505)
        assert "\n" not in str(error)
    else:
        assert all(isinstance(item, (Request, Interleaved)) for item in items)


@given(st.binary(min_size=1, max_size=1))
def test_a_header_without_an_end_is_refused_before_it_fills_memory(letter):
    parser = RequestParser()
    parser.feed(b"OPTIONS")
    fed = 7
    with pytest.raises(BadRequest):
        while fed <= MOST_HEADER_BYTES:
            parser.feed(letter * 512 + b".")
            fed += 513
            assert parser.next() is None


def test_a_body_is_passed_over():
    request = Request("SET_PARAMETER", "*", {"cseq": "1", "content-length": "5"})
    plain = Request("SET_PARAMETER", "*", {"cseq": "1"})
    assert parsed(encoded(plain, b"a: 1\n") + encoded(plain)) == ([request, plain], False)
    assert parsed(encoded(plain, b"a: 1\n")[:-1]) == ([], True)


@pytest.mark.parametrize(
    ("data", "status", "problem"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "METHOD URL RTSP/1.0"),
        (b"OPTIONS * RTSP/2.0\r\n\r\n", 505, "version 2.0"),
        (b"OPTIONS * RTSP/1.0\r\nno colon\r\n\r\n", 400, "NAME: VALUE"),
        (b"OPTIONS * RTSP/1.0\r\nA: \0\r\n\r\n", 400, "printable"),
        (b"OPTIONS * RTSP/1.0\r\n" + b"A: 1\r\n" * (MOST_HEADERS + 1) + b"\r\n", 413, "65 headers"),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: -1\r\n\r\n", 400, "Content-Length"),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: 4097\r\n\r\n", 413, f"over {MOST_BODY_BYTES}"),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: 99999999999\r\n\r\n", 400, "no number"),
        (b"\x16\x03\x01" + bytes(MOST_HEADER_BYTES), 413, f"over {MOST_HEADER_BYTES} bytes"),
    ],
)
def test_what_is_no_request_of_ours_is_refused_with_a_reason(data, status, problem):
    with pytest.raises(BadRequest, match=problem) as caught:
        parsed(data)
    assert caught.value.status == status


def test_a_response_names_its_request_and_measures_its_body():
    response = Response(200, (("A", "1"), ("A", "2")), b"body")
    assert (
        response.encode("7") == b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nA: 1\r\nA: 2\r\nContent-Length: 4\r\n\r\nbody"
    )
    assert Response(454).encode(None) == b"RTSP/1.0 454 Session Not Found\r\n\r\n"
