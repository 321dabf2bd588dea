"""The typed schema of everything that can be set."""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import ConfigError

S = TypeVar("S", bound="Settings")
Port = Annotated[int, Field(ge=0, le=65535)]
MEGABYTE = 1_000_000


class Settings(BaseModel):
    """Base of all settings: immutable, and a key that does not exist is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSettings(Settings):
    """Which model, with which weights, in which number format, on what."""

    name: str = "motions"
    weights: str | None = None
    dtype: Literal["float32", "bfloat16", "int8"] = "float32"
    device: str = "cpu"
    threads: int = Field(default=1, ge=1, le=256)


class ClipSettings(Settings):
    """How a source becomes clips. `frames` None means as many as the model takes; `stride` and `hop`
    count frames of the source's rate; `hop` None leaves neither gap nor overlap."""

    frames: int | None = Field(default=None, ge=1, le=256)
    stride: int = Field(default=1, ge=1, le=1000)
    hop: int | None = Field(default=None, ge=1, le=1_000_000)
    rate: float | None = Field(default=None, gt=0, le=1000)


class PlanSettings(Settings):
    """Who chooses the plan of a clip: `policy`, or the user, who names any of `pruning`, `split` and
    `codec` (or `device_only`) for every clip; then `split` None means in the middle of the model."""

    policy: Literal["janus+", "janus", "device-only", "cloud-only", "mixed"] | None = None
    pruning: str | None = None
    split: int | None = Field(default=None, ge=0, le=1000)
    codec: str | None = None
    device_only: bool = False
    codecs: tuple[str, ...] = ()
    levels: Path | None = None
    accuracy_tolerance: float = Field(default=0.01, ge=0, le=1)
    max_accuracy_loss: float | None = Field(default=None, ge=0, le=1)
    pixels_stay: bool = False

    @property
    def fixed(self) -> bool:
        """Whether every clip gets the plan that the user named."""
        return self.device_only or any(part is not None for part in (self.pruning, self.split, self.codec))


class LinkSettings(Settings):
    """How the device reaches its cloud, and what it shows it. `token_file` None: the token is in JANUS_TOKEN,
    if anywhere; `tls_ca` None: the system's CAs; `insecure` lets a token cross a network in the clear."""

    url: str | None = None
    token_file: Path | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure: bool = False
    connect_s: float = Field(default=5.0, gt=0, le=600)
    patience_s: float = Field(default=30.0, ge=0, le=86400)
    answer_s: float = Field(default=300.0, gt=0, le=86400)
    prior_mbps: float = Field(default=10.0, gt=0, le=1e6)


class PeersSettings(Settings):
    """The peers of a device that runs a DeViT: where they are, the `fusion` that their parts were trained
    with, and the `part` that the device holds itself, if any."""

    urls: tuple[str, ...] = Field(default=(), max_length=64)
    fusion: Path | None = None
    part: Path | None = None

    @property
    def wanted(self) -> bool:
        """Whether parts, and no cloud, answer."""
        return bool(self.urls) or self.fusion is not None or self.part is not None


class MetricsSettings(Settings):
    """Where health, readiness and metrics are served over HTTP; nowhere without a port, 0 is a free one."""

    host: str = Field(default="127.0.0.1", min_length=1)
    port: Port | None = None


class DeviceSettings(Settings):
    """Everything one device process is told."""

    model: ModelSettings = ModelSettings()
    clips: ClipSettings = ClipSettings()
    plan: PlanSettings = PlanSettings()
    link: LinkSettings = LinkSettings()
    peers: PeersSettings = PeersSettings()
    metrics: MetricsSettings = MetricsSettings()
    profile: Path | None = None
    slowdown: float = Field(default=1.0, ge=1, le=1000)
    grace_s: float = Field(default=10.0, ge=0, le=3600)
    in_flight: int | None = Field(default=None, ge=1, le=1024)
    sla_ms: float | None = Field(default=None, gt=0)
    top_k: int = Field(default=5, ge=1, le=1000)


class ServerSettings(Settings):
    """What whoever serves devices is told. With `tls_client_ca`, a device must show a certificate of that
    CA; `insecure` lets everybody in who can reach the server."""

    metrics: MetricsSettings = MetricsSettings()
    host: str = "127.0.0.1"
    port: Port = 8765
    token_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    insecure: bool = False
    max_message_bytes: int = Field(default=16 * MEGABYTE, ge=1024, le=1000 * MEGABYTE)
    max_in_flight: int = Field(default=8, ge=1, le=1024)
    max_batch: int = Field(default=8, ge=1, le=256)
    grace_s: float = Field(default=10.0, ge=0, le=3600)


class CloudSettings(ServerSettings):
    """Everything one cloud process is told."""

    model: ModelSettings = ModelSettings()
    profile: Path | None = None
    top_k: int = Field(default=5, ge=1, le=250)


class PeerSettings(ServerSettings):
    """Everything one peer process is told: the `part` that it serves, and on what it runs."""

    part: Path | None = None
    port: Port = 8766
    device: str = "cpu"
    threads: int = Field(default=1, ge=1, le=256)


def checked(make: type[S], **values: object) -> S:
    """Settings from `values`; raises ConfigError with one line that names every wrong one."""
    try:
        return make.model_validate(values)
    except ValidationError as error:
        raise ConfigError(
            "; ".join(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}" for wrong in error.errors())
        ) from None
