"""From settings to what device and cloud show each other, checked before anything else is begun."""

import logging
from pathlib import Path

from configs.settings import LinkSettings, ServerSettings
from pipeline.errors import ConfigError
from transport.security import (
    HOW_TO_MAKE,
    Credentials,
    Entrance,
    Tokens,
    client_context,
    is_loopback,
    read_tokens,
    server_context,
)
from transport.websocket import cloud_url

log = logging.getLogger(__name__)


def credentials_of(link: LinkSettings) -> Credentials:
    """What the device shows its cloud; nothing where none is named.

    ConfigError for a file that cannot be used, a certificate that has expired, or a token that others on the
    way could read.
    """
    return Credentials() if link.url is None else credentials_for(link, link.url)


def credentials_for(link: LinkSettings, url: str) -> Credentials:
    """The same for one of several far ends, which `url` names."""
    where = cloud_url(url)
    secure, host = where.scheme == "wss", where.host or ""
    certificate = _pair(link.tls_cert, link.tls_key)
    if not secure and (link.tls_ca or certificate):
        raise ConfigError(f"--tls-ca, --tls-cert and --tls-key need TLS: dial {where.with_scheme('wss')}")
    tokens = read_tokens(link.token_file)
    if tokens and not (secure or is_loopback(host) or link.insecure):
        raise ConfigError(
            f"the token would cross the network to {host} in the clear: dial {where.with_scheme('wss')}, "
            "or add --insecure where the network itself is safe"
        )
    return Credentials(
        client_context(link.tls_ca, *(certificate or ())) if secure else None,
        certificate is not None,
        tokens[0] if tokens else None,
    )


def entrance_of(settings: ServerSettings) -> Entrance:
    """What a cloud or a peer wants to see of a device.

    ConfigError for a file that cannot be used, a certificate that has expired, or one that would be open
    to a whole network.
    """
    certificate = _pair(settings.tls_cert, settings.tls_key)
    if settings.tls_client_ca is not None and certificate is None:
        raise ConfigError("--tls-client-ca needs TLS: add --tls-cert and --tls-key")
    tls = None if certificate is None else server_context(*certificate, settings.tls_client_ca)
    entrance = Entrance(tls, Tokens(read_tokens(settings.token_file)))
    if is_loopback(settings.host):
        return entrance
    if not (entrance.tokens or entrance.wants_certificate or settings.insecure):
        raise ConfigError(
            f"anybody who reaches {settings.host} could use this server: add --token-file FILE (make a token "
            f"with {HOW_TO_MAKE}), or --tls-client-ca, or --insecure where the network itself is safe"
        )
    if tls is None:
        log.warning("without --tls-cert and --tls-key, clips and tokens cross the network in the clear")
    return entrance


def _pair(cert: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise ConfigError("--tls-cert and --tls-key: give both or neither")
    return cert, key
