"""The cloud's core, free of transport: packets in, predictions out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models import SplitViT
from pipeline.errors import CodecError, ConfigError, ProtocolError
from pipeline.items import ClassScore, Header, Packet, Prediction, Pruning, Ran, Status
from scheduling.pruning import is_feasible
from stages.classes import top_classes
from transport.codecs import Kind, get_codec, most_bytes

BatchKey = tuple[int, tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A packet's features again: `array` float32 [n, D] with `sizes` uint16 [n], or pixels uint8
    [T, H, W, 3] with no sizes."""

    header: Header
    array: NDArray[Any]
    sizes: NDArray[np.uint16]

    @property
    def batch_key(self) -> BatchKey:
        """Packets that agree in split, pruning and shape may share a batch."""
        return self.header.split, self.header.removed, self.header.shape


class TailService:
    """Checks packets against its model and runs the layers behind their cut."""

    def __init__(self, model: SplitViT, top_k: int = 5) -> None:
        self._model = model
        self._top_k = top_k

    def infer(self, packets: Sequence[Packet]) -> list[Prediction]:
        """One prediction for each packet, in order; a bad packet fails alone. Blocks."""
        outcomes: dict[int, Prediction] = {}
        decoded: dict[int, Decoded] = {}
        for position, packet in enumerate(packets):
            try:
                self.check(packet.header, len(packet.payload), len(packet.sizes))
                decoded[position] = self.decode(packet)
            except (ProtocolError, CodecError) as error:
                outcomes[position] = _prediction(packet.header, Status.FAILED, reason=str(error))
        for positions in _by_key(decoded):
            batch = [decoded[position] for position in positions]
            for position, item, logits in zip(positions, batch, self.run(batch), strict=True):
                outcomes[position] = self.predict(item.header, logits)
        return [outcomes[position] for position in range(len(packets))]

    def check(self, header: Header, payload_bytes: int, sizes_bytes: int) -> None:
        """Raise ProtocolError unless the header fits this model; looks at no payload, takes no memory."""
        model = self._model
        if not 0 <= header.split <= model.num_layers:
            raise ProtocolError(f"split {header.split} is outside 0..{model.num_layers}")
        if not is_feasible(header.removed, model.num_layers, model.num_tokens):
            raise ProtocolError(
                f"pruning {header.pruning} does not fit {model.num_layers} layers, {model.num_tokens} tokens"
            )
        shape = self.shape_at(header.split, header.removed)
        if header.shape != shape:
            raise ProtocolError(f"shape {list(header.shape)} should be {list(shape)} at split {header.split}")
        kind = check_codec(header)
        merged = header.split > 0 and shape[0] < model.num_tokens
        if sizes_bytes != (2 * shape[0] if merged else 0):
            raise ProtocolError(f"{sizes_bytes} bytes of token sizes do not fit {shape[0]} tokens")
        check_payload(kind, shape, payload_bytes)

    def shape_at(self, split: int, removed: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of what crosses a cut at `split`."""
        model = self._model
        if split == 0:
            return (model.clip_frames, model.input_size, model.input_size, 3)
        return (model.num_tokens - sum(removed[:split]), model.dim)

    def decode(self, packet: Packet) -> Decoded:
        """Bytes to arrays; for the codec thread. Raises CodecError or ProtocolError."""
        header = packet.header
        array = get_codec(header.codec).decode(packet.payload, header.shape)
        if header.split == 0:
            return Decoded(header, array, np.empty(0, np.uint16))
        sizes = np.frombuffer(packet.sizes, "<u2") if packet.sizes else np.ones(header.shape[0], np.uint16)
        if sizes.min() < 1 or int(sizes.sum(dtype=np.int64)) != self._model.num_tokens:
            raise ProtocolError(f"token sizes do not add up to {self._model.num_tokens}")
        return Decoded(header, array, sizes)

    def run(self, batch: Sequence[Decoded]) -> list[NDArray[np.float32]]:
        """Logits [classes] for each of a batch that shares one key; for the model thread."""
        model, header = self._model, batch[0].header
        pruning = Pruning(header.pruning, 0.0, header.removed)
        with torch.inference_mode():
            if header.split == 0:
                tokens = model.embed(model.preprocess(np.stack([item.array for item in batch])))
            else:
                tokens = model.from_features([(item.array, item.sizes) for item in batch])
            tokens = model.run_layers(tokens, header.split, model.num_layers, pruning)
            return list(model.classify(tokens).cpu().numpy())

    def predict(self, header: Header, logits: NDArray[np.float32]) -> Prediction:
        """The record of a clip whose logits are known."""
        try:
            return _prediction(header, Status.OK, classes=self.classes(logits), model=self._model.id)
        except ValueError as error:
            return _prediction(header, Status.FAILED, reason=str(error))

    def classes(self, logits: NDArray[np.float32]) -> tuple[ClassScore, ...]:
        """The best classes of `logits`; ValueError when they are not finite."""
        return top_classes(logits, self._model.labels, self._top_k)


def check_codec(header: Header) -> Kind:
    """What the header's codec carries; ProtocolError where that is not what crosses at its split."""
    try:
        codec = get_codec(header.codec)
    except ConfigError as error:
        raise ProtocolError(str(error)) from None
    wanted = "pixels" if header.split == 0 else "tokens"
    if codec.kind != wanted:
        raise ProtocolError(
            f"codec {header.codec} carries {codec.kind}, but split {header.split} sends {wanted}"
        )
    return codec.kind


def check_payload(kind: Kind, shape: tuple[int, ...], payload_bytes: int) -> None:
    """ProtocolError for a payload that no codec makes of an array of this shape."""
    if payload_bytes == 0:
        raise ProtocolError("the payload is empty")
    if payload_bytes > most_bytes(kind, shape):
        raise ProtocolError(f"{payload_bytes} bytes are more than any codec makes of shape {list(shape)}")


def _prediction(
    header: Header,
    status: Status,
    reason: str | None = None,
    classes: tuple[ClassScore, ...] = (),
    model: str = "",
) -> Prediction:
    ran = Ran.CLOUD if header.split == 0 else Ran.SPLIT
    return Prediction(
        header.clip_id, header.source, header.seq, status, reason, classes=classes, ran=ran, model=model
    )


def _by_key(decoded: dict[int, Decoded]) -> Iterable[list[int]]:
    order = sorted(decoded, key=lambda position: decoded[position].batch_key)
    return [list(group) for _, group in groupby(order, key=lambda position: decoded[position].batch_key)]
