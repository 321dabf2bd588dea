"""TLS as both ends speak it, from PEM files that are proved to be good before anything listens or dials."""

import ssl
from contextlib import suppress
from pathlib import Path

from pipeline.errors import ConfigError

OLDEST = ssl.TLSVersion.TLSv1_2
MOST_TURNS = 10
EXPIRED, NOT_YET_VALID = 10, 9  # X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID


def server_context(cert: Path, key: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    """The cloud's side of TLS. ConfigError for files that cannot be used, or not any more.

    With `client_ca`, a device's certificate must be of that CA. Who shows none gets through the handshake
    all the same, so that he can be told; it is for whoever serves to turn him away.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    _load(context, cert, key)
    _require_valid(cert, key, server_side=True)
    if client_ca is not None:
        _trust(context, client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def client_context(
    ca: Path | None = None, cert: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """The device's side of TLS, which verifies the cloud's name and certificate, by `ca` if there is one and
    else by the system's. ConfigError for files that cannot be used, or not any more."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    if ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _trust(context, ca)
    if cert is not None and key is not None:
        _load(context, cert, key)
        _require_valid(cert, key, server_side=False)
    return context


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = OLDEST
    return context


def _trust(context: ssl.SSLContext, ca: Path) -> None:
    _require_readable(ca)
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError:
        raise ConfigError(f"{ca}: holds no certificate of a CA; give a PEM file") from None


def _load(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    for path in (cert, key):
        _require_readable(path)
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(
                f"{key}: is not the key of {cert}; give the key that the certificate was made for"
            ) from None
        raise ConfigError(
            f"{cert} and {key}: not a certificate and its key in PEM ({error.reason or error})"
        ) from None
    except ValueError:
        raise ConfigError(f"{key}: the key is under a password; give one without") from None


def _require_readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a PEM file") from None


def _no_password() -> str:
    """Instead of a question on the terminal, a key under a password is refused."""
    raise ValueError("the key is under a password")


def _require_valid(cert: Path, key: Path, *, server_side: bool) -> None:
    """Show the certificate to a peer that trusts just it, and looks at its dates and its purpose."""
    shown = _context(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    judge = _context(ssl.PROTOCOL_TLS_CLIENT if server_side else ssl.PROTOCOL_TLS_SERVER)
    for context in (shown, judge):
        context.load_cert_chain(cert, key, password=_no_password)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    judge.load_verify_locations(cert)
    judge.verify_mode = ssl.CERT_REQUIRED
    judge.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        _shake_hands(shown, judge, server_side=server_side)
    except ssl.SSLError as error:
        raise ConfigError(f"{cert}: {_fault(error)}") from None


def _shake_hands(one: ssl.SSLContext, other: ssl.SSLContext, *, server_side: bool) -> None:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        one.wrap_bio(back, there, server_side=server_side),
        other.wrap_bio(there, back, server_side=not server_side),
    )
    for _ in range(MOST_TURNS):
        for end in ends:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()


def _fault(error: ssl.SSLError) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate cannot be used ({error.reason or error})"
    if error.verify_code == EXPIRED:
        return "the certificate has expired; make a new one"
    if error.verify_code == NOT_YET_VALID:
        return "the certificate is not valid yet; is this machine's clock right?"
    return f"the certificate cannot be used ({error.verify_message})"
