"""The healthy device: its own process, which replays clips one after the other, and probes its link."""

import asyncio
import json
import sys
import threading
import time
from functools import partial

from pydantic import SecretStr

from benchmarks.fuzz.corpus import healthy_packets, hello
from models import create_model
from pipeline.items import Packet
from transport.client import CloudClient, connect_cloud
from transport.events import Answered, LinkDown
from transport.messages import Result
from transport.security import Credentials
from transport.websocket import dial

CLIPS = 8
WARM = 30
PROBE_EVERY_S = 0.5
MS = 1000.0


class Healthy:
    """Times every clip and every probe; a line on stdin ends a phase and prints its figures."""

    def __init__(self, packets: list[Packet]) -> None:
        self._packets = packets
        self._answers: dict[str, Result] = {}
        self._phase_over = threading.Event()
        self._all_over = threading.Event()
        self._probed_at = 0.0
        self._begin()

    def listen(self) -> None:
        """Hear on stdin when a phase is over, and at its end that all is."""
        for _ in sys.stdin:
            self._phase_over.set()
        self._all_over.set()

    async def run(self, url: str, token: str) -> None:
        """Replay until stdin ends."""
        model = create_model("motions")
        connect = partial(dial, url, credentials=Credentials(token=SecretStr(token)))
        async with connect_cloud(connect, hello(model)) as client:
            for number in range(WARM):
                await self._one(client, number)
            print("ready", flush=True)
            self._begin()
            number = 0
            while not self._all_over.is_set():
                await self._one(client, number)
                number += 1
                if self._phase_over.is_set():
                    self._phase_over.clear()
                    self._report()

    async def _one(self, client: CloudClient, number: int) -> None:
        packet = self._packets[number % len(self._packets)]
        began = time.monotonic()
        await client.submit(packet)
        async for event in client.events():
            if isinstance(event, LinkDown):
                self._losses += 1
            if isinstance(event, Answered):
                break
        self._clips_ms.append((time.monotonic() - began) * MS)
        first = self._answers.setdefault(packet.header.clip_id, event.result)
        self._wrong += event.result.error is not None or event.result.classes[0][0] != first.classes[0][0]
        if (now := time.monotonic()) - self._probed_at >= PROBE_EVERY_S:
            self._probed_at = now
            self._probes_ms.append(await client.probe() * MS)

    def _begin(self) -> None:
        self._clips_ms: list[float] = []
        self._probes_ms: list[float] = []
        self._losses = self._wrong = 0

    def _report(self) -> None:
        figures = {
            "clips_ms": self._clips_ms,
            "probes_ms": self._probes_ms,
            "losses": self._losses,
            "wrong": self._wrong,
        }
        print(json.dumps(figures), flush=True)
        self._begin()


def replay(url: str, token: str) -> None:
    """Be healthy until stdin ends."""
    healthy = Healthy(healthy_packets(create_model("motions"), CLIPS))
    threading.Thread(target=healthy.listen, daemon=True).start()
    asyncio.run(healthy.run(url, token))
