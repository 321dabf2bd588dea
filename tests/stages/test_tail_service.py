from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import CodecError, ProtocolError
from pipeline.items import Prediction, Ran, Status
from stages.head_infer import HeadInfer
from stages.tail_service import TailService
from tests.stages.packets import CLOCK, motion, packet_of, plan_for
from transport.codecs import most_bytes


def on_device(model, clip, plan):
    return HeadInfer(model, None, CLOCK).infer(clip, plan)


@pytest.mark.parametrize("pruning", ["none", "uniform:8", "exponential:0.3"])
def test_a_cut_model_answers_as_the_whole_one_at_every_split(model, pruning):
    service, clip = TailService(model), motion()
    whole = on_device(model, clip, plan_for(model, model.num_layers + 1, pruning))
    for split in range(model.num_layers + 1):
        (cut,) = service.infer([packet_of(model, clip, plan_for(model, split, pruning))])
        assert cut.classes == whole.classes
        assert cut.ran == (Ran.CLOUD if split == 0 else Ran.SPLIT)
        assert (cut.clip_id, cut.status, cut.model) == (clip.clip_id, Status.OK, model.id)


def test_packets_of_many_keys_come_back_in_their_order_each_as_if_alone(model):
    service = TailService(model)
    plans = [
        plan_for(model, 6),
        plan_for(model, 0),
        plan_for(model, 6, "uniform:8"),
        plan_for(model, 6),
        plan_for(model, 6, codec="int8+zstd"),
    ]
    packets = [packet_of(model, motion(seq), plan) for seq, plan in enumerate(plans)]
    together = service.infer(packets)
    assert [prediction.seq for prediction in together] == [0, 1, 2, 3, 4]
    for packet, prediction in zip(packets, together, strict=True):
        (alone,) = service.infer([packet])
        assert [score.class_id for score in prediction.classes] == [score.class_id for score in alone.classes]
        confidences = [[score.confidence for score in p.classes] for p in (prediction, alone)]
        np.testing.assert_allclose(*confidences, atol=1e-4)


def test_a_bad_packet_fails_alone(model):
    good = packet_of(model, motion(0), plan_for(model, 6))
    bad = replace(packet_of(model, motion(1), plan_for(model, 6)), payload=b"\0" * 100)
    first, second = TailService(model).infer([bad, good])
    assert (first.status, second.status) == (Status.FAILED, Status.OK)
    assert "100 bytes" in first.reason


def test_features_that_are_not_finite_fail_with_a_reason(model):
    packet = packet_of(model, motion(), plan_for(model, 6))
    poisoned = replace(packet, payload=np.full(packet.header.shape, np.nan, np.float32).tobytes())
    (prediction,) = TailService(model).infer([poisoned])
    assert (prediction.status, prediction.reason) == (Status.FAILED, "the model's logits are not finite")


WRONG = {
    "split beyond the last layer": {"split": 13},
    "split before the first": {"split": -1},
    "too few layers": {"removed": (0,) * 11},
    "more than half": {"removed": (100, *(0,) * 11)},
    "a token count that no pruning gives": {"shape": (128, 128)},
    "another width": {"shape": (129, 64)},
    "pixels at a token split": {"codec": "jpeg:90"},
    "an unknown codec": {"codec": "gzip"},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_a_header_that_does_not_fit_the_model_is_refused(model, change):
    header = packet_of(model, motion(), plan_for(model, 6)).header
    service = TailService(model)
    service.check(header, 1000, 0)
    with pytest.raises(ProtocolError):
        service.check(replace(header, **change), 1000, 0)


@pytest.mark.parametrize(("payload_bytes", "sizes_bytes"), [(0, 0), (1000, 2), (1000, 258)])
def test_payload_and_sizes_must_have_a_possible_length(model, payload_bytes, sizes_bytes):
    header = packet_of(model, motion(), plan_for(model, 6)).header
    with pytest.raises(ProtocolError):
        TailService(model).check(header, payload_bytes, sizes_bytes)


@pytest.mark.parametrize(("split", "codec"), [(6, "float32"), (0, "png")])
def test_a_payload_longer_than_any_codec_makes_is_refused(model, split, codec):
    header = replace(packet_of(model, motion(), plan_for(model, split)).header, codec=codec)
    most = most_bytes("tokens" if split else "pixels", header.shape)
    service = TailService(model)
    service.check(header, most, 0)
    with pytest.raises(ProtocolError, match="more than any codec makes"):
        service.check(header, most + 1, 0)


def test_merged_tokens_need_their_sizes_and_sizes_must_add_up(model):
    service = TailService(model)
    packet = packet_of(model, motion(), plan_for(model, 6, "uniform:8"))
    assert len(packet.sizes) == 2 * packet.header.shape[0]
    with pytest.raises(ProtocolError, match="token sizes"):
        service.check(packet.header, 1000, 0)
    for sizes in (b"\1\0", b"\0\0"):
        with pytest.raises(ProtocolError, match="add up"):
            service.decode(replace(packet, sizes=sizes * packet.header.shape[0]))


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(max_size=400),
    split=st.sampled_from([0, 6]),
    codec=st.sampled_from(["int8+zstd", "h264:23", "jpeg:90", "float16+lz4", "int4+lzw", "png"]),
)
def test_garbage_is_refused_and_never_crashes(model, data, split, codec):
    header = replace(packet_of(model, motion(), plan_for(model, split)).header, codec=codec)
    packet = packet_of(model, motion(), plan_for(model, split))
    try:
        TailService(model).decode(replace(packet, header=header, payload=data))
    except (CodecError, ProtocolError) as error:
        assert "\n" not in str(error)


def test_a_prediction_of_the_device_and_of_the_cloud_agree_in_everything_but_the_way(model):
    clip = motion(3)
    device = on_device(model, clip, plan_for(model, model.num_layers + 1))
    (cloud,) = TailService(model).infer([packet_of(model, clip, plan_for(model, 1))])
    assert isinstance(device, Prediction)
    assert (device.ran, cloud.ran) == (Ran.DEVICE, Ran.SPLIT)
    assert device.classes == cloud.classes
