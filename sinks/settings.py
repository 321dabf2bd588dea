"""What can be set of each sink."""

import os
import ssl
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from pipeline.errors import ConfigError
from pipeline.secret import Secret


class SinkSettings(BaseModel):
    """Base of all sinks' settings. `grace_s`: how long the end of a run waits for what is not yet written."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    grace_s: float = Field(default=5.0, ge=0, le=3600)


class ConsoleSettings(SinkSettings):
    """Lines or a table for a person to watch."""

    type: Literal["console"] = "console"


class JsonlSettings(SinkSettings):
    """NDJSON in a file, behind what it already holds; "-" is standard output."""

    type: Literal["jsonl"] = "jsonl"
    path: Path


class SpooledSettings(SinkSettings):
    """Base of sinks that may be away for long. `spool`: folder for what has not arrived yet, at most
    `spool_mb` of it; None for a database's own beside it, or a far end's own among the user's."""

    spool: Path | None = None
    spool_mb: int = Field(default=256, ge=16, le=1_000_000)


class SqliteSettings(SpooledSettings):
    """One row a clip in a SQLite database."""

    type: Literal["sqlite"] = "sqlite"
    path: Path


class RemoteSettings(SpooledSettings):
    """Base of sinks behind a network. `ca`: certificates to trust instead of the system's."""

    timeout_s: float = Field(default=10.0, gt=0, le=600)
    ca: Path | None = None


class MqttSettings(RemoteSettings):
    """An MQTT broker; `topic` is the prefix of all topics. `port` None is 1883, with `tls` 8883."""

    type: Literal["mqtt"] = "mqtt"
    host: str = Field(min_length=1)
    port: int | None = Field(default=None, ge=1, le=65535)
    topic: str = "janus"
    user: str | None = None
    password: Secret | None = None
    tls: bool = False
    cert: Path | None = None
    key: Path | None = None
    keepalive_s: int = Field(default=30, ge=1, le=65535)

    @field_validator("topic")
    @classmethod
    def _a_prefix(cls, topic: str) -> str:
        if not topic or set(topic) & set("+#\0") or topic.startswith("$") or "" in topic.split("/"):
            raise ValueError("write a prefix such as site/cameras, without +, # and empty levels")
        return topic

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.password is not None and self.user is None:
            raise ValueError("a password needs a user")
        if not self.tls and (self.ca or self.cert or self.key):
            raise ValueError("ca, cert and key need tls")
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port or (8883 if self.tls else 1883)

    @property
    def label(self) -> str:
        """What logs and errors call it."""
        host, port = self.address
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{port}/{self.topic}"

    def tls_context(self) -> ssl.SSLContext | None:
        """Whom to trust and how to show who we are; None without TLS. ConfigError for unusable files."""
        return _tls_context(self.label, self.ca, self.cert, self.key) if self.tls else None


class WebhookSettings(RemoteSettings):
    """A web server that takes POSTs of JSON arrays. The whole `url` is a secret; `token` becomes a
    bearer's, `secret` signs each body."""

    type: Literal["webhook"] = "webhook"
    url: Secret
    token: Secret | None = None
    secret: Secret | None = None
    batch: int = Field(default=50, ge=1, le=1000)

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(url.get_secret_value())
            sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            raise ValueError("write https://host/path") from None
        if not sound or parts.username is not None:
            raise ValueError("write https://host/path, with credentials in token rather than in the address")
        return url

    @property
    def label(self) -> str:
        """What logs and errors call it: the server alone, since paths of webhooks are often secret."""
        parts = urlsplit(self.url.get_secret_value())
        return f"{parts.scheme}://{parts.netloc}"

    def tls_context(self) -> ssl.SSLContext | None:
        """Whom to trust; None without TLS. ConfigError for unusable files."""
        secure = self.label.startswith("https:")
        return _tls_context(self.label, self.ca, None, None) if secure else None


AnySink = Annotated[
    MqttSettings | WebhookSettings | SqliteSettings | JsonlSettings | ConsoleSettings,
    Field(discriminator="type"),
]
_any_sink: TypeAdapter[AnySink] = TypeAdapter(AnySink)


def sink_settings(values: dict[str, object], where: str) -> AnySink:
    """Settings of the sink that `values["type"]` names; ConfigError, one line that begins with `where`."""
    try:
        return _any_sink.validate_python(values)
    except ValidationError as error:
        wrong = ((".".join(map(str, each["loc"][1:])), each["msg"]) for each in error.errors())
        said = "; ".join(f"{key}: {message}" if key else message for key, message in wrong)
        raise ConfigError(f"{where}: {said}") from None


def spool_folder(settings: MqttSettings | WebhookSettings | SqliteSettings) -> Path:
    """Where records for this sink wait: the same folder in the next run."""
    if settings.spool is not None:
        return settings.spool
    if isinstance(settings, SqliteSettings):
        return Path(f"{settings.path}.spool")
    home = os.environ.get("XDG_STATE_HOME")
    target = settings.label if isinstance(settings, MqttSettings) else settings.url.get_secret_value()
    name = f"{settings.type}-{sha256(target.encode()).hexdigest()[:16]}"
    return (Path(home) if home else Path.home() / ".local" / "state") / "janus" / "spool" / name


def _tls_context(label: str, ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca)
        if cert is not None:
            context.load_cert_chain(cert, key)
    except OSError as error:  # an SSLError is one
        raise ConfigError(f"{label}: ca, cert or key cannot be used ({error.strerror})") from None
    return context
