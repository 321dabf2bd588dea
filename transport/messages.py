"""The messages of the wire: typed, bounded, one msgpack map each with its "type"."""

import math
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import msgpack
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from pipeline.errors import MessageTooLarge, ProtocolError
from pipeline.items import Header, Packet
from transport.untrusted import one_line, printable, unpack_map

PROTOCOL = 1
HELLO_LIMIT_BYTES = 64 * 1024
REPLY_LIMIT_BYTES = 1024 * 1024

MOST_CLIP_ID = 4000
MOST_IN_MAP = 64

# A msgpack pair: the key, and the mark of binary data behind four bytes of length.
PAYLOAD_FOLLOWS = b"\xa7payload\xc6"

Name = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(printable)]
ClipId = Annotated[str, Field(min_length=1, max_length=MOST_CLIP_ID)]
Spec = Annotated[str, Field(max_length=64, pattern=r"^[a-z0-9_+.:-]+$")]
Specs = Annotated[tuple[Spec, ...], Field(fail_fast=True, max_length=128)]
Text = Annotated[str, Field(max_length=2048), AfterValidator(printable)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Layer = Annotated[int, Field(ge=0, le=1024)]
Tokens = Annotated[int, Field(ge=0, le=65536)]
Size = Annotated[int, Field(ge=1, le=65536)]
Confidence = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[float, Field(ge=0, le=1e9)]
Role = Literal["cloud", "peer"]
MOST_PIXELS = 1 << 30
MOST_TOKEN_BYTES = 1 << 18


def _few(value: object) -> object:
    """Of a map, before each of its items is looked at."""
    if isinstance(value, dict) and len(value) > MOST_IN_MAP:
        raise ValueError(f"more than {MOST_IN_MAP} items")
    return value


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)
    type: ClassVar[str]


class Hello(_Body):
    """The device's first message. `digest` is of the model's weights; `codecs` are codec families.

    A device that seeks peers runs a fusion, which `digest` is of, of the parts whose digests are `parts`.
    """

    # A newer peer may say more: the handshake must still reach the line that names both versions.
    model_config = ConfigDict(extra="ignore")
    type: ClassVar[str] = "hello"
    protocol: Count
    model: Name
    digest: Name
    codecs: Specs
    device: Name | None = None
    seeks: Role = "cloud"
    parts: Annotated[tuple[Name, ...], Field(fail_fast=True, max_length=64)] = ()


class Welcome(_Body):
    """The answer: what runs here, the session's limits, and a cloud's profile if it has one. A peer says of
    which `shape` [T, H, W, 3] its part takes clips; `digest` is the part's."""

    model_config = ConfigDict(extra="ignore")
    type: ClassVar[str] = "welcome"
    protocol: Count
    model: Name
    digest: Name
    max_message_bytes: Annotated[int, Field(ge=1024, le=2**31)]
    max_in_flight: Annotated[int, Field(ge=1, le=1024)]
    codecs: Specs
    profile: Annotated[dict[Name, Any], BeforeValidator(_few)] | None = None
    serves: Role = "cloud"
    shape: Annotated[tuple[Size, ...], Field(fail_fast=True, min_length=4, max_length=4)] | None = None


class ClipMessage(_Body):
    """One clip's features. `shape` [n, D] after `split` layers, or [T, H, W, 3] when split is 0."""

    type: ClassVar[str] = "clip"
    clip_id: ClipId
    source: ClipId
    seq: Count
    split: Layer
    pruning: Spec
    removed: Annotated[tuple[Tokens, ...], Field(fail_fast=True, max_length=1024)]
    codec: Spec
    shape: Annotated[tuple[Size, ...], Field(fail_fast=True, min_length=2, max_length=4)]
    payload: bytes
    sizes: bytes = b""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        rank = 4 if self.split == 0 else 2
        if len(self.shape) != rank or math.prod(self.shape) > MOST_PIXELS:
            raise ValueError(f"shape at split {self.split} must have {rank} sizes, {MOST_PIXELS} in product")
        if self.sizes and (rank == 4 or len(self.sizes) != 2 * self.shape[0]):
            raise ValueError("sizes must be empty, or two bytes for each token")
        return self

    @classmethod
    def of(cls, packet: Packet) -> Self:
        """The message that carries `packet`; ProtocolError where a field breaks the wire's bounds."""
        fields = {name: getattr(packet.header, name) for name in Header.__dataclass_fields__}
        return _validated(cls, {**fields, "payload": packet.payload, "sizes": packet.sizes})

    def packet(self) -> Packet:
        """The packet that this message carries, as the cloud sees it: without clip and plan."""
        header = Header(**{name: getattr(self, name) for name in Header.__dataclass_fields__})
        return Packet(header=header, payload=self.payload, sizes=self.sizes)


class Ack(_Body):
    """The cloud has the whole message of this clip, `num_bytes` long."""

    type: ClassVar[str] = "ack"
    clip_id: ClipId
    num_bytes: Count


class Result(_Body):
    """A clip's answer, best class first as (name, class_id, confidence), or `error`: why it failed. Of a peer
    the answer is `payload`: the token of its part, float32 [D], little-endian."""

    type: ClassVar[str] = "result"
    clip_id: ClipId
    classes: Annotated[tuple[tuple[Name, Count, Confidence], ...], Field(fail_fast=True, max_length=256)] = ()
    durations_ms: Annotated[dict[Name, Milliseconds], BeforeValidator(_few)] = Field(default_factory=dict)
    error: Text | None = None
    payload: Annotated[bytes, Field(max_length=MOST_TOKEN_BYTES)] | None = None


ErrorCode = Literal[
    "protocol", "model", "digest", "codec", "too-large", "bad-message", "busy", "duplicate", "failed"
]


class ErrorMessage(_Body):
    """A refusal: of one clip, or of the whole connection when `clip_id` is None."""

    type: ClassVar[str] = "error"
    code: ErrorCode
    message: Text
    clip_id: ClipId | None = None


class Probe(_Body):
    """Answered at once by the same nonce with `reply` set and no payload."""

    type: ClassVar[str] = "probe"
    nonce: Count
    payload: bytes = b""
    reply: bool = False


class Bye(_Body):
    """The last message of an end that leaves in order."""

    type: ClassVar[str] = "bye"
    reason: Text = ""


Message = Hello | Welcome | ClipMessage | Ack | Result | ErrorMessage | Probe | Bye
M = TypeVar("M", bound=_Body)
_KINDS: dict[str, type[Message]] = {
    kind.type: kind for kind in (Hello, Welcome, ClipMessage, Ack, Result, ErrorMessage, Probe, Bye)
}


def encode(message: Message) -> bytes:
    """The bytes of `message` on the wire."""
    fields = {"type": message.type, **{name: getattr(message, name) for name in type(message).model_fields}}
    payload = fields.pop("payload", None)
    packed = bytes(msgpack.packb(fields, use_bin_type=True))
    return packed if payload is None else _with_payload(packed, payload)


def _with_payload(packed: bytes, payload: bytes) -> bytes:
    # Joined, a payload is copied once; the packer would copy it twice. The first byte of a map with
    # less than 16 pairs counts them.
    count = (packed[0] + 1).to_bytes()
    return b"".join([count, packed[1:], PAYLOAD_FOLLOWS, len(payload).to_bytes(4), payload])


def decode(data: bytes, limit_bytes: int) -> Message:
    """The message in `data`; ProtocolError in one line, MessageTooLarge above `limit_bytes`."""
    if len(data) > limit_bytes:
        raise MessageTooLarge("incoming", len(data), limit_bytes)
    return validate(unpack_map(data))


def validate(fields: dict[str, Any]) -> Message:
    """The message of these fields, "type" among them; ProtocolError names the first that is wrong."""
    kind = fields.get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ProtocolError(f"message type {one_line(kind)} is none of {', '.join(_KINDS)}")
    return _validated(_KINDS[kind], {name: value for name, value in fields.items() if name != "type"})


def clip_of(fields: dict[str, Any]) -> str | None:
    """The clip that a refused message was about, as far as can be told."""
    clip_id = fields.get("clip_id")
    fits = isinstance(clip_id, str) and 0 < len(clip_id) <= MOST_CLIP_ID
    return clip_id if fits and fields.get("type") == ClipMessage.type else None


def _validated(kind: type[M], fields: dict[str, Any]) -> M:
    unknown = (name for name in fields if name not in kind.model_fields)
    if kind.model_config["extra"] == "forbid" and (name := next(unknown, None)) is not None:
        # Thousands of them would each become an error of its own.
        raise ProtocolError(f"{kind.type} message: {one_line(name)}: no such field")
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"][:4]) or "fields"
        raise ProtocolError(
            f"{kind.type} message: {one_line(where)}: {one_line(first['msg'], 160)}"
        ) from None
