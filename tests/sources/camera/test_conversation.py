import pytest

from sources.camera.conversation import METHODS, Conversation, Service
from sources.camera.credentials import Guard
from sources.camera.roads import Offer
from sources.camera.rtp import RtpStream
from sources.camera.rtsp import Request
from tests.sources.camera.receiving import basic

URL = "rtsp://h:1/live/stream"
TCP, UDP = "RTP/AVP/TCP;interleaved=0-1", "RTP/AVP;client_port=8-9"


class Road:
    def __init__(self, offer):
        if offer.pair == (8, 10):
            raise OSError("no ports")
        self.header, self.offer, self.closed = "the transport", offer, False

    def close(self):
        self.closed = True


class Talk:
    """A conversation, and what it is told with a number each."""

    def __init__(self, guard=None, udp=True):
        service = Service("live/stream", b"v=0", guard, udp)
        self.conversation = Conversation(service, RtpStream(1, 777), Road)
        self.session = None

    def __call__(self, method, url=URL, **headers):
        headers = {"cseq": "1"} | ({"session": self.session} if self.session else {}) | headers
        response = self.conversation.answer(Request(method, url, headers))
        return response.status, dict(response.headers), response.body

    def set_up(self, transport=TCP):
        status, headers, _ = self("SETUP", f"{URL}/trackID=0", transport=transport)
        assert status == 200
        self.session = headers["Session"].partition(";")[0]
        return headers


def test_a_client_that_does_all_in_order_plays():
    talk = Talk()
    status, headers, _ = talk("OPTIONS")
    assert (status, headers["Public"].split(", ")) == (200, list(METHODS))
    assert talk("DESCRIBE") == (
        200,
        {"Content-Base": f"{URL}/", "Content-Type": "application/sdp"},
        b"v=0",
    )
    headers = talk.set_up()
    assert headers["Transport"] == "the transport" and headers["Session"].endswith(";timeout=60")
    assert not talk.conversation.playing
    status, headers, _ = talk("PLAY", f"{URL}/")
    assert status == 200 and talk.conversation.playing
    assert headers["RTP-Info"] == f"url={URL}/trackID=0;seq=777"
    assert talk("GET_PARAMETER")[0] == talk("SET_PARAMETER")[0] == 200
    assert talk("PAUSE")[0] == 200 and not talk.conversation.playing
    assert talk("PLAY")[0] == 200 and talk.conversation.playing
    road = talk.conversation.road
    assert talk("TEARDOWN")[0] == 200
    assert road.closed and not talk.conversation.playing


def test_sessions_cannot_be_guessed_and_are_none_before_set_up_and_after_teardown():
    talk = Talk()
    for method in ("PLAY", "PAUSE", "TEARDOWN"):
        assert talk(method)[0] == 454
    talk.set_up()
    assert talk("PLAY", session="another")[0] == talk("GET_PARAMETER", session="another")[0] == 454
    assert not talk.conversation.playing
    assert talk("TEARDOWN", session=f"{talk.session};timeout=60")[0] == 200
    assert talk("PLAY")[0] == 454
    other = Talk()
    other.set_up()
    assert other.session != talk.session and len(other.session) == 16


@pytest.mark.parametrize(
    ("method", "url", "headers", "status"),
    [
        ("DESCRIBE", "rtsp://h:1/other", {}, 404),
        ("DESCRIBE", "rtsp://[h/live/stream", {}, 404),
        ("DESCRIBE", URL, {"cseq": "x"}, 400),
        ("DESCRIBE", URL, {"cseq": "9" * 11}, 400),
        ("RECORD", URL, {}, 501),
        ("SETUP", URL, {}, 461),
        ("SETUP", URL, {"transport": "RTP/AVP;multicast"}, 461),
        ("SETUP", URL, {"transport": "RTP/AVP;client_port=8-10"}, 461),
    ],
)
def test_what_cannot_be_done_has_its_own_status(method, url, headers, status):
    assert Talk()(method, url, **headers)[0] == status


def test_a_query_and_a_star_are_no_other_path():
    assert Talk()("DESCRIBE", f"{URL}?channel=1")[0] == Talk()("GET_PARAMETER", "*")[0] == 200


def test_the_first_transport_that_can_be_had_is_taken():
    talk = Talk(udp=False)
    talk.set_up(f"{UDP},{TCP}")
    assert talk.conversation.road.offer == Offer(False, (0, 1))
    talk = Talk()
    talk.set_up(f"RTP/AVP;client_port=8-10,{UDP},{TCP}")
    assert talk.conversation.road.offer == Offer(True, (8, 9))


def test_another_set_up_replaces_the_road_but_not_while_it_plays():
    talk = Talk()
    talk.set_up(UDP)
    first = talk.conversation.road
    talk.set_up(TCP)
    assert first.closed and not talk.conversation.road.closed
    talk("PLAY")
    assert talk("SETUP", transport=TCP)[0] == 455
    assert talk.conversation.playing


def test_a_guarded_camera_tells_its_methods_to_everybody_and_the_rest_to_its_user():
    talk = Talk(Guard("user", "secret"))
    assert talk("OPTIONS")[0] == 200
    for method in set(METHODS) - {"OPTIONS"}:
        assert talk(method)[0] == 401
    challenges = talk.conversation.answer(Request("DESCRIBE", URL, {"cseq": "1"})).headers
    assert [value.split()[0] for _, value in challenges] == ["Digest", "Basic"]
    assert talk("DESCRIBE", authorization=basic("user:secret"))[0] == 200
    assert talk("DESCRIBE", authorization=basic("user:wrong"))[0] == 401


def test_closing_twice_closes_the_road_once_and_for_all():
    talk = Talk()
    talk.set_up()
    talk("PLAY")
    road = talk.conversation.road
    talk.conversation.close()
    talk.conversation.close()
    assert road.closed and talk.conversation.road is None and not talk.conversation.playing
