"""RTSP 1.0 as bytes: requests that come, frames between them, and responses (RFC 2326)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from pipeline.errors import ProtocolError

MOST_HEADER_BYTES = 8192
MOST_HEADERS = 64
MOST_BODY_BYTES = 4096

_LINE = re.compile(r"(?P<method>[A-Z_]{1,32}) (?P<url>[\x21-\x7e]{1,2048}) RTSP/(?P<version>\d\.\d)")
_HEADER = re.compile(r"(?P<name>[A-Za-z0-9-]{1,64}):[ \t]*(?P<value>[\t\x20-\x7e\x80-\xff]*)")
_OWN_REASONS = {
    451: "Parameter Not Understood",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    461: "Unsupported Transport",
    505: "RTSP Version Not Supported",
}


class BadRequest(ProtocolError):
    """Bytes that are no request this camera reads; `status` is the answer before it hangs up."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(f"RTSP request: {what}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are in lower case, and of two of a name the last counts."""

    method: str
    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Interleaved:
    """One binary frame between requests: the client's RTCP."""

    channel: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; a header that stands several times has several values."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def encode(self, cseq: str | None) -> bytes:
        """The bytes on the wire."""
        reason = _OWN_REASONS.get(self.status) or HTTPStatus(self.status).phrase
        lines = [f"RTSP/1.0 {self.status} {reason}"]
        lines += [] if cseq is None else [f"CSeq: {cseq}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"Content-Length: {len(self.body)}"] if self.body else []
        return "\r\n".join([*lines, "", ""]).encode() + self.body


class RequestParser:
    """Bytes in, requests and frames out; holds less than one frame of 64 KiB and what was fed last.

    `next()` gives None until more is fed, and raises BadRequest for what no request begins with or what
    is too large; after that nothing more can be read.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()

    @property
    def unfinished(self) -> bool:
        """Whether part of a request or frame is there, once `next()` has given None."""
        return bool(self._bytes)

    def feed(self, data: bytes) -> None:
        self._bytes += data

    def next(self) -> Request | Interleaved | None:
        """The next whole request or frame."""
        while self._bytes.startswith((b"\r", b"\n")):
            del self._bytes[0]
        if self._bytes.startswith(b"$"):
            return self._frame()
        return self._request()

    def _frame(self) -> Interleaved | None:
        if len(self._bytes) < 4:
            return None
        size = int.from_bytes(self._bytes[2:4], "big")
        if len(self._bytes) < 4 + size:
            return None
        taken = self._take(4 + size)
        return Interleaved(taken[1], taken[4:])

    def _request(self) -> Request | None:
        end = self._bytes.find(b"\r\n\r\n", 0, MOST_HEADER_BYTES)
        if end < 0:
            if len(self._bytes) >= MOST_HEADER_BYTES:
                raise BadRequest(413, f"its header is over {MOST_HEADER_BYTES} bytes")
            return None
        request = parse_request(bytes(self._bytes[:end]))
        size = end + 4 + _body_bytes(request)
        if len(self._bytes) < size:
            return None
        self._take(size)
        return request

    def _take(self, size: int) -> bytes:
        taken = bytes(self._bytes[:size])
        del self._bytes[:size]
        return taken


def parse_request(header: bytes) -> Request:
    """A request from its lines, without the empty one at the end; BadRequest where they are none."""
    first, *lines = header.decode("latin-1").split("\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise BadRequest(400, "its first line is not METHOD URL RTSP/1.0")
    if line["version"] != "1.0":
        raise BadRequest(505, f"version {line['version']}, not 1.0")
    if len(lines) > MOST_HEADERS:
        raise BadRequest(413, f"{len(lines)} headers, over {MOST_HEADERS}")
    headers = {}
    for text in lines:
        found = _HEADER.fullmatch(text)
        if found is None:
            raise BadRequest(400, "a header is not NAME: VALUE in printable characters")
        headers[found["name"].lower()] = found["value"].strip()
    return Request(line["method"], line["url"], headers)


def _body_bytes(request: Request) -> int:
    stated = request.headers.get("content-length", "0")
    if not re.fullmatch(r"[0-9]{1,9}", stated):
        raise BadRequest(400, "its Content-Length is no number")
    if int(stated) > MOST_BODY_BYTES:
        raise BadRequest(413, f"a body of {stated} bytes, over {MOST_BODY_BYTES}")
    return int(stated)
