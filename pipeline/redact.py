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
# A password has as many names (pw, psk, p, pswd) as cameras have makers: in an address no value shows.
_FIELD = re.compile(r"([?&;](?:[^=&;'\"#]*+=)?+)[^&;'\"#]+")
_IN_PATH = re.compile(r"(=)[^&;/'\"#]+")
_NO_WORD = re.compile(r"[\s'\"]")


def redacted(text: str) -> str:
    """`text` with *** for the user info and all query values of every address in it.

    Elsewhere a value is secret by its name (token, key, password, user, ...) or from 16 characters on.
    """
    if "://" in text:
        text = _WORD.sub(_without_secrets, text)
    for secret in (_SECRET, _LONG_VALUE, _LONG_QUERY):
        text = secret.sub(rf"\1{HIDDEN}", text)
    return text


def _without_secrets(found: re.Match[str]) -> str:
    """Without what stands before the last @ of the word: a password may hold an @ or a slash that nobody
    encoded; and without values."""
    word = found[0]
    scheme = _ANY_SCHEME.search(word)
    if scheme is None:
        return word
    _, at, after = word[scheme.end() :].rpartition("@")
    path, mark, query = (f"{HIDDEN}@{after}" if at else after).partition("?")
    path, query = (
        values.sub(rf"\1{HIDDEN}", part) for values, part in ((_IN_PATH, path), (_FIELD, mark + query))
    )
    return f"{word[: scheme.end()]}{path}{query}"


def redacted_address(spec: str) -> str:
    """The same for a whole `spec` that may be no good address: all before its last @ hides."""
    place, mark, query = spec.partition("?")
    spec = place + mark + (_NO_WORD.sub("_", query) if "://" in place else query)
    before, at, after = spec.rpartition("@")
    if not at or ":" not in before:
        return redacted(spec)
    scheme = _SCHEME.match(before)
    return redacted(f"{scheme[0] if scheme else ''}{HIDDEN}@{after}")
