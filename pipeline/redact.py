"""What may be shown of an address: no user, no password, no token."""

import re

HIDDEN = "***"
# No word is looked at from each of its characters: a long one, which a stranger may write, would take ages.
_WORD = re.compile(r"\S+")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_ANY_SCHEME = re.compile(r"(?<![a-z0-9+.-])[a-z0-9+.-]++://", re.IGNORECASE)
_SECRET = re.compile(
    r"(?<![\w.-])((?=[\w.-]*?(?:user|pass|pwd|token|key|secret|auth|sig|session|cred|login))[\w.-]++=)"
    r"[^&\s'\"#;/]+",
    re.IGNORECASE,
)
# Whatever its name: what a person wrote is shorter than what proves an identity.
_LONG_VALUE = re.compile(r"([?&][^=&?\s'\"#]*+=)[^&\s'\"#]{16,}")
_LONG_QUERY = re.compile(r"(\?)[^=&\s'\"#]{16,}")


def redacted(text: str) -> str:
    """`text` with *** for the user info and the secret query values of every address in it.

    A value is secret by its name (token, key, password, user, ...) or when it is 16 characters or more.
    """
    if "@" in text and "://" in text:
        text = _WORD.sub(_without_user_info, text)
    for secret in (_SECRET, _LONG_VALUE, _LONG_QUERY):
        text = secret.sub(rf"\1{HIDDEN}", text)
    return text


def _without_user_info(found: re.Match[str]) -> str:
    """Up to the last @ of the word: a password may hold an @ or a slash that nobody encoded."""
    word = found[0]
    scheme, at = _ANY_SCHEME.search(word), word.rfind("@")
    if scheme is None or at < scheme.end():
        return word
    return f"{word[: scheme.end()]}{HIDDEN}@{word[at + 1 :]}"


def redacted_address(spec: str) -> str:
    """The same for a whole `spec` that may be no good address: all before its last @ hides."""
    before, at, after = spec.rpartition("@")
    if not at or ":" not in before:
        return redacted(spec)
    scheme = _SCHEME.match(before)
    return redacted(f"{scheme[0] if scheme else ''}{HIDDEN}@{after}")
