"""The far end: RTP, RTCP and RTSP as a client reads them, written apart from what it tests."""

import asyncio
import base64
import struct
from dataclasses import dataclass


def depacketised(payloads):
    """The NAL units of RTP payloads that all arrived, in order (RFC 6184)."""
    units, open_unit = [], False
    for payload in payloads:
        if payload[0] & 31 != 28:
            assert not open_unit
            units.append(payload)
            continue
        begins, open_before, open_unit = bool(payload[1] & 0x80), open_unit, not payload[1] & 0x40
        assert begins != open_before
        units += [bytes((payload[0] & 0xE0 | payload[1] & 31,))] if begins else []
        units[-1] += payload[2:]
    assert not open_unit
    return units


@dataclass
class Rtp:
    marker: bool
    kind: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def rtp(packet):
    first, second, sequence, timestamp, ssrc = struct.unpack(">BBHII", packet[:12])
    assert first == 0x80
    return Rtp(bool(second & 0x80), second & 0x7F, sequence, timestamp, ssrc, packet[12:])


@dataclass
class Report:
    ssrc: int
    unix_s: float
    timestamp: int
    packets: int
    octets: int


def report(packet):
    """The sender report in front of a compound RTCP packet; asserts that the parts fill it."""
    rest, kinds = packet, []
    while rest:
        first, kind, words = struct.unpack(">BBH", rest[:4])
        assert first >> 6 == 2
        kinds.append(kind)
        rest = rest[4 * (words + 1) :]
    assert kinds == [200, 202]
    ssrc, seconds, fraction, timestamp, packets, octets = struct.unpack(">IIIIII", packet[4:28])
    return Report(ssrc, seconds - 2208988800 + fraction / 2**32, timestamp, packets, octets)


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes


class RawClient:
    """Speaks RTSP by hand over one connection; what comes interleaved is kept in `frames`."""

    def __init__(self, reader, writer, url):
        self.reader, self.writer, self.url = reader, writer, url
        self.frames = []
        self.session = None
        self._cseq = 0

    async def ask(self, method, url=None, **headers):
        """The answer to one request; underscores in header names are hyphens."""
        self._cseq += 1
        lines = [f"{method} {url or self.url} RTSP/1.0", f"CSeq: {self._cseq}"]
        lines += [f"Session: {self.session}"] if self.session else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        answer = await self.answer()
        assert answer.headers["cseq"] == [str(self._cseq)]
        return answer

    async def answer(self):
        while (first := await self.reader.readexactly(1)) == b"$":
            self.frames.append(await self._frame())
        lines = (first + await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        headers = {}
        for line in lines[1:]:
            name, value = line.split(": ", 1)
            headers.setdefault(name.lower(), []).append(value)
        body = await self.reader.readexactly(int(headers.get("content-length", ["0"])[0]))
        return Answer(int(lines[0].split()[1]), headers, body)

    async def play(self, transport="RTP/AVP/TCP;unicast;interleaved=0-1"):
        """From SETUP to PLAY; returns the answer to SETUP."""
        set_up = await self.ask("SETUP", f"{self.url}/trackID=0", Transport=transport)
        assert set_up.status == 200
        self.session = set_up.headers["session"][0].partition(";")[0]
        assert (await self.ask("PLAY")).status == 200
        return set_up

    async def frame(self):
        """The next interleaved (channel, packet)."""
        if self.frames:
            return self.frames.pop(0)
        assert await self.reader.readexactly(1) == b"$"
        return await self._frame()

    async def picture(self):
        """The RTP packets of the next picture."""
        packets = []
        while not packets or not packets[-1].marker:
            channel, packet = await self.frame()
            packets += [rtp(packet)] if channel == 0 else []
        return packets

    async def _frame(self):
        channel, size = struct.unpack(">BH", await self.reader.readexactly(3))
        return channel, await self.reader.readexactly(size)


async def connect(camera, **options):
    """A connection that the test has to close; `options` are asyncio's own."""
    where = {} if "sock" in options else {"host": "127.0.0.1", "port": camera.port}
    reader, writer = await asyncio.open_connection(**where, **options)
    return RawClient(reader, writer, camera.url)


async def ending(reader):
    """How the peer ends a connection: "end" or "reset"; waits until it does."""
    try:
        while await reader.read(65536):
            pass
    except ConnectionResetError:
        return "reset"
    return "end"


def basic(text):
    """The Authorization header of user:password."""
    return f"Basic {base64.b64encode(text.encode()).decode()}"
