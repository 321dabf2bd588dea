"""Why a cloud or a peer could not be dialled, in one line that says what would be right.

What another attempt may mend is LinkLost; what somebody has to mend first is HandshakeRefused.
"""

import ssl
from dataclasses import dataclass

import aiohttp
import anyio
from yarl import URL

from pipeline.errors import HandshakeRefused, LinkLost
from transport.messages import Role
from transport.security import Credentials

BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, BUSY = 400, 401, 403, 503

# X509_V_ERR_...
EXPIRED, NOT_YET_VALID = 10, 9
OTHER_HOST = (62, 64)
UNKNOWN_CA = (2, 18, 19, 20, 21)

NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
OLD_TLS = ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL")
WANTED = "wants a certificate of this device; give --tls-cert and --tls-key"
NOT_TAKEN = "does not take this device's certificate; give one of the CA in the {role}'s --tls-client-ca"


@dataclass(frozen=True, slots=True)
class FarEnd:
    """Who is dialled: at which `url`, called what in messages, and as what."""

    url: URL
    name: str
    role: Role

    @property
    def not_taken(self) -> str:
        """That it does not take the certificate that was shown."""
        return NOT_TAKEN.format(role=self.role)

    def answered(self, found: str) -> HandshakeRefused:
        """That what it answered with is none of ours."""
        return HandshakeRefused(f"{self.name}: answered with {found}, so it is no Janus {self.role}")


async def explain(
    far: FarEnd, credentials: Credentials, error: Exception, timeout_s: float
) -> LinkLost | HandshakeRefused:
    """What `error`, which came of dialling `far`, means; where that could be several things, looks a second
    time, for at most `timeout_s`."""
    peer, where = far.name, far.url
    clear = _clear(far, credentials, error)
    if clear is not None:
        return clear
    if where.scheme == "ws" and await _speaks_tls(where, timeout_s):
        return HandshakeRefused(f"{peer}: speaks TLS; dial {where.with_scheme('wss')}")
    if credentials.certificate and await _turns_away_who_shows_none(where, timeout_s):
        return HandshakeRefused(f"{peer}: {far.not_taken}")
    if isinstance(error, aiohttp.ClientResponseError):
        return _none_of_ours(far, error.status)
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return LinkLost(f"{peer}: closed the connection before it was open ({type(cause).__name__})")


def _clear(far: FarEnd, credentials: Credentials, error: Exception) -> LinkLost | HandshakeRefused | None:
    """What an error that speaks for itself means."""
    peer = far.name
    tls = _tls_error(error)
    if tls is not None:
        return HandshakeRefused(f"{peer}: {_tls_line(far, credentials, tls)}")
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.strerror or error.os_error
        lost = LinkLost(f"{peer}: cannot connect ({reason}); is it running?")
        return None if isinstance(error.os_error, ConnectionResetError) else lost
    if not isinstance(error, aiohttp.WSServerHandshakeError) or error.status == BAD_REQUEST:
        return None
    if error.status == BUSY:
        return LinkLost(f"{peer}: the {far.role} has no room for another device")
    if error.status in (UNAUTHORIZED, FORBIDDEN):
        return HandshakeRefused(f"{peer}: {_unwelcome(far, credentials, error.status)}")
    return _none_of_ours(far, error.status)


def _none_of_ours(far: FarEnd, status: int) -> HandshakeRefused:
    found = f"HTTP {status}" if status >= 100 else "something that is not HTTP"
    return HandshakeRefused(f"{far.answered(found)}; check the port")


def _tls_error(error: Exception) -> ssl.SSLError | None:
    found = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error.__cause__
    return found if isinstance(found, ssl.SSLError) else None


def _tls_line(far: FarEnd, credentials: Credentials, error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_line(far.url, error)
    reason = error.reason or str(error)
    if reason in NO_TLS:
        plain = far.url.with_scheme("ws")
        return f"speaks no TLS; dial {plain}, or give the {far.role} --tls-cert and --tls-key"
    if reason.endswith(OLD_TLS):
        return "speaks no TLS of version 1.2 or later; renew the far end"
    if reason.endswith("CERTIFICATE_REQUIRED") or not credentials.certificate:
        return WANTED if "ALERT" in reason else f"TLS failed ({reason})"
    return f"{far.not_taken} ({reason.lower().replace('_', ' ')})"


def _certificate_line(where: URL, error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == EXPIRED:
        return "its certificate, or its CA's, has expired; renew it, unless this machine's clock is wrong"
    if error.verify_code == NOT_YET_VALID:
        return "its certificate is not valid yet; is this machine's clock right?"
    if error.verify_code in OTHER_HOST:
        return f"its certificate is not for {where.host}; dial a name that it holds, or make another"
    if error.verify_code in UNKNOWN_CA:
        return "its certificate is of a CA that this device does not know; give that CA's file by --tls-ca"
    return f"its certificate does not hold ({error.verify_message})"


def _unwelcome(far: FarEnd, credentials: Credentials, status: int) -> str:
    if status == FORBIDDEN:
        return WANTED
    if credentials.token is None:
        return "wants a token; give it by --token-file or JANUS_TOKEN"
    return f"does not know this device's token; give one that the {far.role}'s --token-file holds"


async def _speaks_tls(where: URL, timeout_s: float) -> bool:
    """Whether a TLS handshake, which verifies nothing and says nothing, gets through."""
    try:
        with anyio.fail_after(timeout_s):
            stream = await anyio.connect_tcp(
                where.host or "", where.port or 0, ssl_context=_curious(), tls_standard_compatible=False
            )
    except (OSError, TimeoutError, anyio.BrokenResourceError, anyio.EndOfStream):
        return False
    await anyio.aclose_forcefully(stream)
    return True


async def _turns_away_who_shows_none(where: URL, timeout_s: float) -> bool:
    """Whether a stranger without a certificate is answered, and told that he needs one."""
    url = where.with_scheme("https")
    try:
        with anyio.fail_after(timeout_s):
            async with aiohttp.ClientSession() as session, session.get(url, ssl=_curious()) as answer:
                return answer.status == FORBIDDEN
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


def _curious() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
