"""Messages: what is encoded decodes to itself; anything else is refused in one line."""

import tracemalloc
from contextlib import suppress

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import MessageTooLarge, ProtocolError
from tests.transport.world import HELLO, WELCOME, packet
from transport.messages import (
    Ack,
    Bye,
    ClipMessage,
    ErrorMessage,
    Message,
    Probe,
    Result,
    clip_of,
    decode,
    encode,
    validate,
)
from transport.untrusted import unpack_map

LIMIT = 1 << 20
MESSAGES: list[Message] = [
    HELLO,
    HELLO.model_copy(update={"seeks": "peer", "parts": ("1f2e", "3d4c")}),
    WELCOME,
    WELCOME.model_copy(update={"serves": "peer", "shape": (1, 64, 64, 3)}),
    WELCOME.model_copy(update={"profile": {"dtype": "float32", "ms": (1.5, 2.0), "deep": {"a": None}}}),
    ClipMessage.of(packet(3, b"\x00\xff", shape=(2, 8))),
    Ack(clip_id="a", num_bytes=605184),
    Result(clip_id="a", classes=(("zumba", 399, 0.25),), durations_ms={"wait": 1, "tail": 20.5}),
    Result(clip_id="a", error="does not decode"),
    Result(clip_id="a", payload=b"\x00\x00\x80\x3f"),
    ErrorMessage(code="digest", message="other weights"),
    Probe(nonce=7, payload=b"x" * 100),
    Bye(reason="done"),
]
NO_TOKEN = ("payload", None)  # a cloud's result is as it was before there were peers
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.type)
def test_every_message_survives_the_wire(message: Message) -> None:
    assert decode(encode(message), LIMIT) == message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.type)
def test_a_message_is_one_msgpack_map_with_its_type(message: Message) -> None:
    fields = msgpack.unpackb(encode(message), use_list=False)
    said = {name: value for name, value in message.model_dump().items() if (name, value) != NO_TOKEN}
    assert fields == {"type": message.type, **said}


@given(
    clip_id=names,
    source=names,
    payload=st.binary(max_size=100),
    tokens=st.integers(1, 50),
    removed=st.lists(st.integers(0, 65536), max_size=40).map(tuple),
    merged=st.booleans(),
)
def test_a_packet_survives_the_wire(
    clip_id: str, source: str, payload: bytes, tokens: int, removed: tuple[int, ...], merged: bool
) -> None:
    sizes = np.ones(tokens, dtype="<u2").tobytes() if merged else b""
    original = packet(5, payload, clip_id=clip_id, source=source, shape=(tokens, 8), removed=removed)
    original = type(original)(header=original.header, payload=payload, sizes=sizes)
    message = decode(encode(ClipMessage.of(original)), LIMIT)
    assert isinstance(message, ClipMessage) and message.packet() == original


def fields_of(message: Message) -> dict[str, object]:
    return dict(msgpack.unpackb(encode(message)))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.type)
def test_a_missing_field_is_named(message: Message) -> None:
    fields = fields_of(message)
    required = [name for name, field in type(message).model_fields.items() if field.is_required()]
    for name in required:
        rest = {key: value for key, value in fields.items() if key != name}
        with pytest.raises(ProtocolError, match=f"{message.type} message: {name}"):
            decode(msgpack.packb(rest), LIMIT)


@pytest.mark.parametrize("message", MESSAGES[5:], ids=lambda message: message.type)
def test_a_field_too_many_is_refused(message: Message) -> None:
    with pytest.raises(ProtocolError, match="colour"):
        decode(msgpack.packb({**fields_of(message), "colour": "blue"}), LIMIT)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.type)
def test_thousands_of_errors_in_a_message_take_no_more_memory_than_the_first(message: Message) -> None:
    fields = fields_of(message)
    many = {f"k{number}": None for number in range(4000)}
    lists = [fields | {name: list(many.values())} for name in type(message).model_fields]
    maps = [fields | {name: many} for name in type(message).model_fields]
    for wrong in (fields | many, *lists, *maps):
        data = msgpack.packb(wrong)
        unpacked = unpack_map(data)
        tracemalloc.start()
        with suppress(ProtocolError):
            validate(unpacked)
        _, most_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most_bytes < 200_000


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"clip_id": ""}, "clip_id"),
        ({"clip_id": "x" * 4001}, "clip_id"),
        ({"clip_id": b"bytes"}, "clip_id"),
        ({"seq": -1}, "seq"),
        ({"seq": 1.0}, "seq"),
        ({"seq": True}, "seq"),
        ({"split": 9999}, "split"),
        ({"removed": [-1]}, "removed.0"),
        ({"removed": [0] * 1025}, "removed"),
        ({"codec": "int8; rm"}, "codec"),
        ({"shape": [3]}, "shape"),
        ({"shape": [3, 0]}, "shape.1"),
        ({"shape": [3, 8, 8, 3]}, "fields"),
        ({"split": 0}, "fields"),
        ({"split": 0, "shape": [65536, 65536, 65536, 3]}, "fields"),
        ({"payload": "text"}, "payload"),
        ({"sizes": b"12345"}, "fields"),
    ],
)
def test_a_clip_outside_its_bounds_is_refused_by_field(changed: dict[str, object], where: str) -> None:
    fields = {**fields_of(ClipMessage.of(packet(1))), **changed}
    with pytest.raises(ProtocolError, match=rf"clip message: {where}: "):
        decode(msgpack.packb(fields), LIMIT)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.1, "1"])
def test_a_confidence_outside_0_to_1_is_refused(value: object) -> None:
    fields = {"type": "result", "clip_id": "a", "classes": [["zumba", 1, value]]}
    with pytest.raises(ProtocolError, match=r"classes\.0\.2"):
        decode(msgpack.packb(fields), LIMIT)


@pytest.mark.parametrize("kind", [None, "", "shout", 5, ["clip"], "x" * 4000, "\n\r\x1b[31m"])
def test_an_unknown_type_is_refused_in_one_short_line(kind: object) -> None:
    with pytest.raises(ProtocolError, match="none of hello, welcome") as caught:
        decode(msgpack.packb({"type": kind}), LIMIT)
    assert len(str(caught.value)) < 200 and str(caught.value).isprintable()


def test_a_message_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(MessageTooLarge, match="101 bytes"):
        decode(bytes(101), 100)


@settings(max_examples=300)
@given(data=st.binary(max_size=400))
def test_garbage_is_refused_in_one_short_line(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(data, LIMIT)
    assert len(str(caught.value)) < 250 and str(caught.value).isprintable()


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=9)
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300)
@given(message=st.sampled_from(MESSAGES), changes=st.data())
def test_changed_fields_are_refused_or_make_a_message_that_survives(
    message: Message, changes: st.DataObject
) -> None:
    fields = fields_of(message)
    for name in changes.draw(st.sets(st.sampled_from(sorted(fields)), max_size=3)):
        fields[name] = changes.draw(values)
    try:
        decoded = decode(msgpack.packb(fields), LIMIT)
    except ProtocolError as error:
        assert len(str(error)) < 300 and str(error).isprintable()
    else:
        assert decode(encode(decoded), LIMIT) == decoded


def test_the_clip_of_a_refused_message_is_known_where_it_can_be() -> None:
    assert clip_of({"type": "clip", "clip_id": "a"}) == "a"
    for fields in ({}, {"type": "clip"}, {"type": "ack", "clip_id": "a"}, {"type": "clip", "clip_id": 5}):
        assert clip_of(fields) is None
