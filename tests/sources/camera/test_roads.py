import asyncio
import socket

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from sources.camera import roads
from sources.camera.roads import BURST_PACKETS, BURST_S, Datagrams, Interleaving, Offer, parse_offers
from sources.camera.rtp import FramePackets
from tests.settled import settled

HOST = "127.0.0.1"


@pytest.mark.parametrize(
    ("header", "offers"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=2-3", [Offer(False, (2, 3))]),
        ("RTP/AVP/TCP;unicast", [Offer(False, (0, 1))]),
        ("RTP/AVP;unicast;client_port=5000-5001", [Offer(True, (5000, 5001))]),
        ("rtp/avp/udp;client_port=5000;mode=play", [Offer(True, (5000, 5001))]),
        ("RTP/AVP;multicast, RTP/SAVP;client_port=1-2,RTP/AVP/TCP", [Offer(False, (0, 1))]),
        ("RTP/AVP;unicast", []),
        ("RTP/AVP;unicast;client_port=0-1", []),
        ("RTP/AVP;unicast;client_port=65535", []),
        ("RTP/AVP/TCP;interleaved=255-256", []),
        ("RTP/AVP/TCP;interleaved=3-3", []),
        ("", []),
        (",".join(["RTP/AVP/TCP"] * 99), [Offer(False, (0, 1))] * 8),
    ],
)
def test_what_can_be_served_is_found_in_the_client_s_order(header, offers):
    assert parse_offers(header) == offers


@given(st.text("RTP/AVPUDC;,=-0159 client_portinterleaved"))
def test_any_header_is_a_list_of_offers_in_range(header):
    assert all(0 <= end <= 65535 for offer in parse_offers(header) for end in offer.pair)


class Receiver:
    """Two UDP sockets of a client."""

    def __init__(self):
        self.ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for end in self.ends:
            end.setblocking(False)
            end.bind((HOST, 0))
        self.ports = tuple(end.getsockname()[1] for end in self.ends)

    async def receive(self, which):
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.ends[which], 2048), 5)


@pytest.fixture
def receiver():
    found = Receiver()
    yield found
    for end in found.ends:
        end.close()


@pytest.fixture
async def datagrams(receiver):
    heard = []
    road = Datagrams((HOST, 1), (HOST, 2), receiver.ports, ManualClock(), lambda: heard.append(1))
    road.heard = heard
    yield road
    road.close()


def server_ports(road):
    return tuple(map(int, road.header.rpartition("server_port=")[2].split("-")))


async def test_media_and_reports_reach_their_ports_from_neighbouring_ones(receiver, datagrams):
    await datagrams.send(FramePackets(b"report", (b"one", b"two")))
    assert [await receiver.receive(0), await receiver.receive(0)] == [b"one", b"two"]
    assert await receiver.receive(1) == b"report"
    first, second = server_ports(datagrams)
    assert first % 2 == 0 and second == first + 1
    assert f"client_port={receiver.ports[0]}-{receiver.ports[1]};" in datagrams.header


async def test_a_client_s_reports_are_heard(receiver, datagrams):
    receiver.ends[1].sendto(b"receiver report", (HOST, server_ports(datagrams)[1]))
    with anyio.fail_after(5):
        while not datagrams.heard:  # noqa: ASYNC110  (the road tells nobody else)
            await asyncio.sleep(0.001)


async def test_a_large_frame_goes_in_bursts(receiver):
    clock = ManualClock()
    road = Datagrams((HOST, 1), (HOST, 2), receiver.ports, clock, lambda: None)
    sent = asyncio.create_task(
        road.send(FramePackets(None, tuple(b"%d" % n for n in range(BURST_PACKETS + 1))))
    )
    await settled()
    assert not sent.done()
    clock.advance(BURST_S)
    await sent
    assert [await receiver.receive(0) for _ in range(BURST_PACKETS + 1)][-1] == b"%d" % BURST_PACKETS
    road.close()


async def test_a_closed_road_holds_no_port(receiver):
    road = Datagrams((HOST, 1), (HOST, 2), receiver.ports, ManualClock(), lambda: None)
    road.close()
    for port in server_ports(road):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind((HOST, port))


async def test_no_ports_is_an_error_to_pass_on(receiver, monkeypatch):
    monkeypatch.setattr(roads, "BIND_TRIES", 0)
    with pytest.raises(OSError, match="no two neighbouring UDP ports"):
        Datagrams((HOST, 1), (HOST, 2), receiver.ports, ManualClock(), lambda: None)


class Writer:
    def __init__(self):
        self.written = []
        self.drained = 0

    def write(self, data):
        self.written.append(data)

    async def drain(self):
        self.drained += 1


async def test_interleaved_packets_are_framed_and_written_whole():
    writer = Writer()
    road = Interleaving(writer, (4, 5))
    await road.send(FramePackets(b"rep", (b"one", b"four")))
    assert writer.written == [b"$\x05\x00\x03rep$\x04\x00\x03one$\x04\x00\x04four"]
    assert writer.drained == 1
    assert road.header == "RTP/AVP/TCP;unicast;interleaved=4-5"
