"""Real messages of a real device, as bytes: what attackers damage, and what the healthy device sends."""

from collections.abc import Sequence

from models import SplitViT
from pipeline.clock import SystemClock
from pipeline.items import Clip, Packet, Plan
from scheduling.pruning import parse_pruning
from sources.motions import motion_sequence
from stages.compress import Compress
from stages.head_infer import HeadInfer
from transport.codecs import codec_names
from transport.messages import (
    PROTOCOL,
    Ack,
    Bye,
    ClipMessage,
    ErrorMessage,
    Hello,
    Probe,
    Result,
    Welcome,
    encode,
)

HEALTHY_SPLIT, HEALTHY_CODEC = 6, "int8+zstd"
# What is left of the model is short, so that damage which goes unnoticed costs the attacked little.
LATE_SPLIT = 12
TOKEN_CODECS = ("float32", "float32+lzw", "float16+lz4", "int8+zstd", "int4")
PIXEL_CODECS = ("raw+zstd", "png", "jpeg:90", "h264:23")


def hello(model: SplitViT) -> Hello:
    """What a device of this model says first."""
    return Hello(protocol=PROTOCOL, model=model.name, digest=model.digest, codecs=codec_names())


def healthy_packets(model: SplitViT, count: int) -> list[Packet]:
    """Clips cut in the middle of the model."""
    return [_packet(model, seq, HEALTHY_SPLIT, HEALTHY_CODEC) for seq in range(count)]


def messages(model: SplitViT) -> list[bytes]:
    """One of every kind: those that a device sends, with every kind of codec, and those that none does."""
    clips = [_packet(model, seq, LATE_SPLIT, codec) for seq, codec in enumerate(TOKEN_CODECS)]
    clips += [_packet(model, seq, 0, codec) for seq, codec in enumerate(PIXEL_CODECS, start=len(clips))]
    clips += [_packet(model, len(clips), LATE_SPLIT, "int8", "uniform:8")]
    return [
        encode(hello(model)),
        *(encode(ClipMessage.of(packet)) for packet in clips),
        encode(Probe(nonce=1)),
        encode(Probe(nonce=2, payload=bytes(2000))),
        encode(Bye(reason="done")),
        *(encode(message) for message in _of_a_cloud(model)),
    ]


def _of_a_cloud(model: SplitViT) -> Sequence[Welcome | Ack | Result | ErrorMessage]:
    return (
        Welcome(
            protocol=PROTOCOL,
            model=model.name,
            digest=model.digest,
            max_message_bytes=1 << 20,
            max_in_flight=8,
            codecs=codec_names(),
        ),
        Ack(clip_id="pattern/000001", num_bytes=17000),
        Result(clip_id="pattern/000001", classes=(("up", 0, 0.5),)),
        ErrorMessage(code="failed", message="does not decode", clip_id="pattern/000001"),
    )


def _packet(model: SplitViT, seq: int, split: int, codec: str, pruning: str = "none") -> Packet:
    frames = motion_sequence(7, seq)[1]
    clip = Clip(f"pattern/{seq:06d}", "pattern", seq, 0.0, 0.64, 0.0, frames)
    plan = Plan(parse_pruning(pruning, model.num_layers, model.num_tokens), split, codec)
    head = HeadInfer(model, None, SystemClock())  # type: ignore[arg-type]
    features = head.infer(clip, plan) if split else head.pixels(clip, plan)
    return Compress(None, SystemClock()).encode(features)  # type: ignore[arg-type]
