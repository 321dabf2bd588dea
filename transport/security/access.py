"""What each end must show the other before they speak."""

import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address

from pydantic import SecretStr

from transport.security.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a device shows a cloud, and how it verifies one. `certificate`: whether `tls` shows one."""

    tls: ssl.SSLContext | None = None
    certificate: bool = False
    token: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class Entrance:
    """What a cloud wants to see of a device: a token, a certificate, both, or nothing."""

    tls: ssl.SSLContext | None = None
    tokens: Tokens = field(default_factory=Tokens)

    @property
    def wants_certificate(self) -> bool:
        """Whether a device must show a certificate."""
        return self.tls is not None and self.tls.verify_mode is not ssl.CERT_NONE


def is_loopback(host: str) -> bool:
    """Whether an address by name or number is this machine's own, which nobody else can reach."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
