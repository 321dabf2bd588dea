"""What one client has asked for so far, and what it is answered."""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from sources.camera.credentials import Guard
from sources.camera.patience import SESSION_S
from sources.camera.roads import Offer, Road, parse_offers
from sources.camera.rtp import RtpStream
from sources.camera.rtsp import Request, Response
from sources.camera.sdp import TRACK

METHODS = ("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER", "SET_PARAMETER")
OF_A_SESSION = frozenset({"PLAY", "PAUSE", "TEARDOWN"})

_CSEQ = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Service:
    """What the camera serves: its path, the session description, and who may see it (None: everybody)."""

    path: str
    description: bytes
    guard: Guard | None
    udp: bool


class Conversation:
    """Answers one connection's requests in turn; it has one session at most.

    `make_road` gives the way for an offer's packets, or raises OSError. While `playing`, the stream's
    packets belong on `road`.
    """

    def __init__(self, service: Service, stream: RtpStream, make_road: Callable[[Offer], Road]) -> None:
        self.playing = False
        self.road: Road | None = None
        self._service = service
        self._stream = stream
        self._make_road = make_road
        self._nonce = secrets.token_hex(16)
        self._session = secrets.token_hex(8)

    def answer(self, request: Request) -> Response:
        """The response; what the request changes has then been changed."""
        if not _CSEQ.fullmatch(request.headers.get("cseq", "")):
            return Response(400)
        if request.method == "OPTIONS":
            return Response(200, (("Public", ", ".join(METHODS)),))
        guard = self._service.guard
        if guard is not None and not guard.admits(request, self._nonce):
            return Response(401, guard.challenges(self._nonce))
        return self._refusal(request) or self._granted(request)

    def close(self) -> None:
        """End the session, if there is one."""
        self.playing = False
        if self.road is not None:
            self.road.close()
            self.road = None

    def _refusal(self, request: Request) -> Response | None:
        if request.method not in METHODS:
            return Response(501)
        if not self._is_ours(request.url):
            return Response(404)
        stated = request.headers.get("session", "").partition(";")[0].strip()
        if (stated or request.method in OF_A_SESSION) and (self.road is None or stated != self._session):
            return Response(454)
        return None

    def _granted(self, request: Request) -> Response:
        match request.method:
            case "DESCRIBE":
                return self._describe(request)
            case "SETUP":
                return self._set_up(request)
            case "PLAY":
                return self._play(request)
            case "PAUSE":
                self.playing = False
            case "TEARDOWN":
                self.close()
        return Response(200, self._named())

    def _describe(self, request: Request) -> Response:
        headers = (("Content-Base", f"{request.url.rstrip('/')}/"), ("Content-Type", "application/sdp"))
        return Response(200, headers, self._service.description)

    def _set_up(self, request: Request) -> Response:
        if self.playing:
            return Response(455)
        for offer in parse_offers(request.headers.get("transport", "")):
            if offer.udp and not self._service.udp:
                continue
            try:
                road = self._make_road(offer)
            except OSError:
                continue
            self.close()
            self.road = road
            return Response(200, (("Transport", road.header), *self._named()))
        return Response(461)

    def _play(self, request: Request) -> Response:
        self.playing = True
        track = f"{request.url.removesuffix(TRACK).rstrip('/')}/{TRACK}"
        info = f"url={track};seq={self._stream.sequence}"
        return Response(200, (*self._named(), ("Range", "npt=now-"), ("RTP-Info", info)))

    def _named(self) -> tuple[tuple[str, str], ...]:
        if self.road is None:
            return ()
        return (("Session", f"{self._session};timeout={SESSION_S:g}"),)

    def _is_ours(self, url: str) -> bool:
        try:
            path = urlsplit(url).path.strip("/")
        except ValueError:
            return False
        return url == "*" or path.removesuffix(TRACK).rstrip("/") == self._service.path
