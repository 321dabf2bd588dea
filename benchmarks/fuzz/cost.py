"""What damaged messages cost by themselves: each handled by the cloud's own functions, in a quiet process."""

import math
import multiprocessing
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

from benchmarks.fuzz.bombs import bombs
from benchmarks.fuzz.mutations import Mutator
from models import create_model
from pipeline.errors import JanusError
from stages.part_service import PartService
from stages.tail_service import TailService
from transport.messages import ClipMessage, validate
from transport.untrusted import unpack_map

AGAIN = 5
# Above this a message is handled again: the machine does other things too.
SUSPICIOUS_MS = 10.0
# One step in which malloc's heap grows: less than that is no message's doing.
SUSPICIOUS_BYTES = 132 * 1024
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


class Cold:
    """Forks of a process that has handled undamaged messages only: what one frees, no other finds again."""

    def __init__(self, service: TailService, corpus: Sequence[bytes]) -> None:
        self._ours, theirs = multiprocessing.Pipe()
        if os.fork() == 0:
            self._ours.close()
            _fork_for_each(service, corpus, theirs)
        theirs.close()

    def beyond_bytes(self, data: bytes) -> int:
        """The least of a few: a process takes memory for other things too."""
        return min(self._once(data) for _ in range(AGAIN))

    def _once(self, data: bytes) -> int:
        self._ours.send_bytes(data)
        return int(self._ours.recv_bytes())


def _fork_for_each(
    service: TailService, corpus: Sequence[bytes], asked: "Connection[bytes, bytes]"
) -> NoReturn:
    """Answer every message with the bytes it took, until the other end has closed."""
    while True:
        try:
            data = asked.recv_bytes()
        except EOFError:
            os._exit(0)
        child = os.fork()
        if child == 0:
            # A fork has yet to map its libraries: undamaged messages bring them.
            for message in corpus:
                handle(service, message)
            asked.send_bytes(str(_once(service, data)[1]).encode())
            os._exit(0)
        os.waitpid(child, 0)


def measure(corpus: Sequence[bytes], count: int, seed: int) -> dict[str, float]:
    """Handle all known bombs and `count` damaged messages, after a few undamaged ones."""
    service = TailService(create_model("motions"))
    for message in list(corpus) * AGAIN:
        handle(service, message)
    mutator = Mutator(corpus, seed)
    cold, costs = Cold(service, corpus), Costs()
    for message in chain(bombs(corpus), (mutator.next() for _ in range(count))):
        costs.messages += 1
        # The first time counts: malloc keeps what it has got once.
        taken_ms, beyond = _once(service, message)
        if taken_ms >= SUSPICIOUS_MS:
            taken_ms = min(_once(service, message)[0] for _ in range(AGAIN))
        if beyond > SUSPICIOUS_BYTES:
            costs.most_beyond_bytes = max(costs.most_beyond_bytes, cold.beyond_bytes(message))
        costs.slowest_ms = max(costs.slowest_ms, taken_ms)
    return asdict(costs)


def handle(service: TailService | PartService, data: bytes) -> int:
    """Read, check and decode as a cloud or a peer does; the bytes that it may rightly take for that."""
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


def _once(service: TailService, data: bytes) -> tuple[float, int]:
    """The ms it took, and how much higher than before memory was at its highest, less twice what is right."""
    OWN_PEAK.write_text(RESET_PEAK)
    before, began = _highest_bytes(), time.perf_counter()
    rightly = handle(service, data)
    taken_ms = (time.perf_counter() - began) * MS
    return taken_ms, _highest_bytes() - before - 2 * rightly


def _highest_bytes() -> int:
    line = next(line for line in OWN_STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
