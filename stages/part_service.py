"""A peer's core, free of transport: packets of pixels in, tokens of its part out."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from devit.backbones import run
from devit.files import Part
from models.preprocessing import preprocess
from pipeline.errors import ProtocolError
from pipeline.items import Header, Packet, Pixels
from stages.tail_service import Decoded, check_codec, check_payload
from transport.codecs import get_codec


class PartService:
    """Checks packets against its part, and runs it on `device`."""

    def __init__(self, part: Part, device: str = "cpu") -> None:
        self._spec = part.info.architecture.spec
        self._model = part.model.to(device)
        self._device = device

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the clips that it takes, [T, H, W, 3]."""
        size = self._spec.input_size
        return self._spec.clip_frames, size, size, 3

    def check(self, header: Header, payload_bytes: int, sizes_bytes: int) -> None:
        """Raise ProtocolError unless the header is of pixels that fit the part; looks at no payload."""
        if header.split != 0 or header.removed or sizes_bytes:
            raise ProtocolError("a part takes whole clips: split 0, nothing removed, no token sizes")
        if header.shape != self.shape:
            raise ProtocolError(
                f"shape {list(header.shape)} should be {list(self.shape)}, which the part takes"
            )
        check_payload(check_codec(header), self.shape, payload_bytes)

    def decode(self, packet: Packet) -> Decoded:
        """Bytes to pixels; for the codec thread. Raises CodecError."""
        array = get_codec(packet.header.codec).decode(packet.payload, packet.header.shape)
        return Decoded(packet.header, array, np.empty(0, np.uint16))

    def run(self, batch: Sequence[Decoded]) -> list[NDArray[np.float32]]:
        """The token [D] of each; for the model thread."""
        return self.tokens(np.stack([item.array for item in batch]))

    @torch.inference_mode()
    def tokens(self, frames: Pixels) -> list[NDArray[np.float32]]:
        """The token [D] of each clip of `frames` [B, T, H, W, 3]; for the model thread."""
        pixels = preprocess(frames, self._spec).to(self._device)
        return list(run(self._model, pixels).token.float().cpu().numpy())
