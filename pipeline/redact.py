"""What may be shown of an address: no user, no password, no token."""

import re

HIDDEN = "***"
# Up to the last @ of the word: a password may hold an @ or a slash that nobody encoded.
_USER_INFO = re.compile(r"\b([a-z][a-z0-9+.-]*://)\S*@", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SECRET = re.compile(
    r"([\w.-]*(?:user|pass|pwd|token|key|secret|auth|sig|session|cred|login)[\w.-]*=)[^&\s'\"#;/]+",
    re.IGNORECASE,
)
# Whatever its name: what a person wrote is shorter than what proves an identity.
_LONG_VALUE = re.compile(r"([?&][^=&\s'\"#]*=)[^&\s'\"#]{16,}")
_LONG_QUERY = re.compile(r"(\?)[^=&\s'\"#]{16,}")


def redacted(text: str) -> str:
    """`text` with *** for the user info and the secret query values of every address in it.

    A value is secret by its name (token, key, password, user, ...) or when it is 16 characters or more.
    """
    text = _USER_INFO.sub(rf"\1{HIDDEN}@", text)
    for secret in (_SECRET, _LONG_VALUE, _LONG_QUERY):
        text = secret.sub(rf"\1{HIDDEN}", text)
    return text


def redacted_address(spec: str) -> str:
    """The same for a whole `spec` that may be no good address: all before its last @ hides."""
    before, at, after = spec.rpartition("@")
    if not at or ":" not in before:
        return redacted(spec)
    scheme = _SCHEME.match(before)
    return redacted(f"{scheme[0] if scheme else ''}{HIDDEN}@{after}")
