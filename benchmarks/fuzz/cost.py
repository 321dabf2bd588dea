"""What damaged messages cost by themselves: each handled by the cloud's own functions, in a quiet process."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.fuzz.mutations import Mutator
from models import create_model
from pipeline.errors import JanusError
from stages.tail_service import TailService
from transport.messages import ClipMessage, validate
from transport.untrusted import unpack_map

AGAIN = 5
# Above this a message is handled again: the machine does other things too.
SUSPICIOUS_MS = 10.0
SUSPICIOUS_BYTES = 500_000
FLOAT32_BYTES = 4
MS = 1000.0
RESET_PEAK = "5"
OWN_STATUS, OWN_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(slots=True)
class Costs:
    """The dearest of many messages; memory counts beyond twice what a message holds or rightly declares."""

    messages: int = 0
    slowest_ms: float = 0.0
    most_beyond_bytes: int = 0


def measure(corpus: Sequence[bytes], count: int, seed: int) -> dict[str, float]:
    """Handle `count` damaged messages, after a few undamaged ones."""
    service = TailService(create_model("motions"))
    for message in list(corpus) * AGAIN:
        handle(service, message)
    mutator, costs = Mutator(corpus, seed), Costs(messages=count)
    for _ in range(count):
        message = mutator.next()
        costs.slowest_ms = max(costs.slowest_ms, _taken_ms(service, message))
        costs.most_beyond_bytes = max(costs.most_beyond_bytes, _beyond_bytes(service, message))
    return asdict(costs)


def handle(service: TailService, data: bytes) -> int:
    """Read, check and decode as the cloud does; returns the bytes that it may rightly take for that."""
    rightly = len(data)
    try:
        message = validate(unpack_map(data))
        if isinstance(message, ClipMessage):
            packet = message.packet()
            service.check(packet.header, len(packet.payload), len(packet.sizes))
            of_each = FLOAT32_BYTES if packet.header.split else 1
            rightly = max(rightly, of_each * math.prod(packet.header.shape))
            service.decode(packet)
    except JanusError:
        pass
    return rightly


def _taken_ms(service: TailService, data: bytes) -> float:
    taken_ms = _once_ms(service, data)
    if taken_ms < SUSPICIOUS_MS:
        return taken_ms
    return min(_once_ms(service, data) for _ in range(AGAIN))


def _once_ms(service: TailService, data: bytes) -> float:
    began = time.perf_counter()
    handle(service, data)
    return (time.perf_counter() - began) * MS


def _beyond_bytes(service: TailService, data: bytes) -> int:
    beyond = _once_beyond_bytes(service, data)
    if beyond < SUSPICIOUS_BYTES:
        return beyond
    return min(_once_beyond_bytes(service, data) for _ in range(AGAIN))


def _once_beyond_bytes(service: TailService, data: bytes) -> int:
    """How much higher than before the process's memory was at its highest, less twice what is right."""
    OWN_PEAK.write_text(RESET_PEAK)
    before = _highest_bytes()
    rightly = handle(service, data)
    return _highest_bytes() - before - 2 * rightly


def _highest_bytes() -> int:
    line = next(line for line in OWN_STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
