from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzz.cost import handle
from benchmarks.fuzz.mutations import Mutator
from devit.backbones import run
from models.preprocessing import preprocess
from pipeline.errors import CodecError, ProtocolError
from stages.part_service import PartService
from tests.devit.small import CCT, CLIPS, DEIT, VIT
from tests.pipeline.clips import make_clip
from tests.stages.parts import clip_of, frames_of, part_of, pixels_packet
from transport.codecs import most_bytes
from transport.messages import ClipMessage, encode

SOUND = [clip_of(seq) for seq in range(6)]
LOSSLESS = ["png", "raw", "raw+zstd", "raw+lz4", "raw+lzw"]


@pytest.mark.parametrize("architecture", [VIT, DEIT, CCT, CLIPS], ids=lambda a: f"{a.kind}-{a.frames}")
def test_tokens_of_a_batch_are_those_of_the_part_itself(architecture):
    part = part_of(0, architecture)
    service = PartService(part)
    clips = [make_clip(seq, frames=frames_of(seq, architecture)) for seq in range(3)]
    packets = [pixels_packet(clip) for clip in clips]
    for packet in packets:
        service.check(packet.header, len(packet.payload), 0)
    tokens = service.run([service.decode(packet) for packet in packets])
    pixels = preprocess(np.stack([clip.frames for clip in clips]), architecture.spec)
    expected = run(part.model, pixels).token
    assert all(token.dtype == np.float32 for token in tokens)
    torch.testing.assert_close(torch.from_numpy(np.stack(tokens)), expected)


@pytest.mark.parametrize("codec", LOSSLESS)
def test_a_codec_that_loses_nothing_changes_no_pixel(codec):
    decoded = PartService(part_of(0)).decode(pixels_packet(clip_of(4), codec))
    np.testing.assert_array_equal(decoded.array, clip_of(4).frames)


@given(st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_nothing_that_is_damaged_does_more_than_be_refused(seed):
    service = PartService(part_of(0))
    codecs = [*LOSSLESS, "jpeg:90"]
    packets = [pixels_packet(clip, codec) for clip, codec in zip(SOUND, codecs, strict=True)]
    corpus = [encode(ClipMessage.of(packet)) for packet in packets]
    mutator = Mutator(corpus, seed)
    for message in (*corpus, *(mutator.next() for _ in range(30))):
        handle(service, message)


WRONG = {
    "tokens": {"split": 1, "shape": (5, 128), "codec": "float32"},
    "a pruning": {"removed": (0, 0, 0)},
    "another size": {"shape": (1, 64, 64, 3)},
    "another length": {"shape": (2, 32, 32, 3)},
    "a codec for tokens": {"codec": "int8"},
    "an unknown codec": {"codec": "gzip"},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_a_header_that_does_not_fit_the_part_is_refused(change):
    service, header = PartService(part_of(0)), pixels_packet(clip_of(0)).header
    service.check(header, 1000, 0)
    with pytest.raises(ProtocolError):
        service.check(replace(header, **change), 1000, 0)


@pytest.mark.parametrize(
    ("payload_bytes", "sizes_bytes"), [(0, 0), (1000, 2), (most_bytes("pixels", (1, 32, 32, 3)) + 1, 0)]
)
def test_payload_and_sizes_must_have_a_possible_length(payload_bytes, sizes_bytes):
    with pytest.raises(ProtocolError):
        PartService(part_of(0)).check(pixels_packet(clip_of(0)).header, payload_bytes, sizes_bytes)


@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=400), codec=st.sampled_from(["png", "jpeg:90", "h264:23", "raw+zstd"]))
def test_garbage_is_refused_and_never_crashes(data, codec):
    packet = pixels_packet(clip_of(0))
    bad = replace(packet, header=replace(packet.header, codec=codec), payload=data)
    try:
        PartService(part_of(0)).decode(bad)
    except CodecError as error:
        assert "\n" not in str(error)
