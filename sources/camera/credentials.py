"""Who may watch: Basic and Digest authentication (RFC 7617, RFC 2069)."""

import base64
import binascii
import hashlib
import hmac
import re

from sources.camera.rtsp import Request

REALM = "janus camera"

_STATED = ("username", "realm", "uri", "response")
_PARAMETER = re.compile(r'([a-z]{1,16})=(?:"([^"]*)"|([^\s,"]+))', re.IGNORECASE)


class Guard:
    """Knows one user; tells whether a request proves to come from that user."""

    def __init__(self, user: str, password: str) -> None:
        self._basic = f"{user}:{password}".encode()
        self._user = user
        self._secret = _md5(f"{user}:{REALM}:{password}")

    def challenges(self, nonce: str) -> tuple[tuple[str, str], ...]:
        """The headers that ask for a proof; `nonce` is good for one connection."""
        return (
            ("WWW-Authenticate", f'Digest realm="{REALM}", nonce="{nonce}", algorithm="MD5"'),
            ("WWW-Authenticate", f'Basic realm="{REALM}"'),
        )

    def admits(self, request: Request, nonce: str) -> bool:
        """Whether the request's Authorization is right; as slow for a wrong one as for a right one."""
        scheme, _, proof = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            return self._knows_password(proof.strip())
        if scheme.lower() == "digest":
            return self._knows_secret(request.method, nonce, proof)
        return False

    def _knows_password(self, proof: str) -> bool:
        try:
            given = base64.b64decode(proof.encode("latin-1"), validate=True)
        except binascii.Error:
            return False
        return hmac.compare_digest(given, self._basic)

    def _knows_secret(self, method: str, nonce: str, proof: str) -> bool:
        given = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(proof)}
        username, realm, uri, response = (given.get(name, "") for name in _STATED)
        expected = _md5(f"{self._secret}:{nonce}:{_md5(f'{method}:{uri}')}")
        return _same(f"{username}\n{realm}\n{response}", f"{self._user}\n{REALM}\n{expected}")


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
