"""What a camera is asked to be."""

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ConfigError
from sources.camera.faults import Fault

MOST_FPS = 240.0

_PATH = re.compile(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*")
_USER = re.compile(r"[ !#-9;-\[\]-~]+")


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """A video file or pattern:motions[?...], and how it is served; ConfigError for what cannot be.

    Port 0 takes a free one. `fps` plays the video at another rate than its own. With a certificate the
    camera speaks RTSP over TLS, and media only within.
    """

    video: str
    host: str = "127.0.0.1"
    port: int = 8554
    path: str = "stream"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    udp: bool = True
    tls_cert: Path | None = None
    tls_key: Path | None = None
    faults: tuple[Fault, ...] = ()
    fps: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"--port {self.port}: choose 0 to 65535")
        if not _PATH.fullmatch(self.path):
            raise ConfigError(f"--path {self.path[:80]!r}: choose letters and digits, such as stream")
        if (self.user is None) != (self.password is None):
            raise ConfigError("--user and --password-file: give both or neither")
        if self.user is not None and not _USER.fullmatch(self.user):
            raise ConfigError("--user: choose an ASCII name without quotes, colons and backslashes")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigError("--tls-cert and --tls-key: give both or neither")
        if self.fps is not None and not 0 < self.fps <= MOST_FPS:
            raise ConfigError(f"--fps {self.fps:g}: choose a rate above 0 and at most {MOST_FPS:g}")

    @property
    def scheme(self) -> str:
        return "rtsp" if self.tls_cert is None else "rtsps"

    @property
    def serves_udp(self) -> bool:
        return self.udp and self.tls_cert is None

    def tls(self) -> ssl.SSLContext | None:
        """The server's side of TLS; None without a certificate, ConfigError for one that cannot be used."""
        if self.tls_cert is None or self.tls_key is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.tls_cert, self.tls_key, password=_no_password)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigError(f"{self.tls_cert} and {self.tls_key}: {reason}; give PEM files") from None
        return context


def _no_password() -> str:
    """Instead of a question on the terminal, a key under a password is refused."""
    raise ValueError("the key is under a password")
