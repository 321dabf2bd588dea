"""What the stages of a server have to know of what it serves."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.items import Header, Packet
from stages.tail_service import Decoded


class Core(Protocol):
    """The layers behind a cut, or a part that sees all pixels; free of transport."""

    def check(self, header: Header, payload_bytes: int, sizes_bytes: int) -> None:
        """Raise ProtocolError unless the header fits; looks at no payload, takes no memory."""

    def decode(self, packet: Packet) -> Decoded:
        """Bytes to arrays; for the codec thread. Raises CodecError or ProtocolError."""

    def run(self, batch: Sequence[Decoded]) -> list[NDArray[np.float32]]:
        """What comes out for each of a batch that shares one key; for the model thread."""
