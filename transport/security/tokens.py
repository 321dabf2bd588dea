"""Bearer tokens: a device shows one, a cloud knows some, and nobody else ever sees any."""

import os
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

from pydantic import SecretStr

from pipeline.errors import ConfigError

VARIABLE = "JANUS_TOKEN"
HOW_TO_MAKE = 'python -c "import secrets; print(secrets.token_urlsafe(32))"'
MOST_BYTES = 65_536
MOST_TOKENS = 256
SCHEME = "Bearer"

# RFC 6750, 2.1. Shorter ones could be guessed.
_TOKEN = re.compile(r"(?=.{16,512}\Z)[A-Za-z0-9._~+/-]+=*", re.ASCII)


class Tokens:
    """The tokens that a cloud takes, of which it keeps digests alone."""

    def __init__(self, tokens: Iterable[SecretStr] = ()) -> None:
        self._digests = [_digest(token.get_secret_value()) for token in tokens]

    def __len__(self) -> int:
        return len(self._digests)

    def accept(self, authorization: str | None) -> bool:
        """Whether this is the Authorization of a device that may come in; anybody may where there are no
        tokens. How long it takes says nothing of how near a wrong token comes."""
        scheme, _, shown = (authorization or "").partition(" ")
        digest = _digest(shown.strip())
        known = [compare_digest(digest, each) for each in self._digests]
        return not known or (any(known) and scheme.lower() == SCHEME.lower())


def authorization(token: SecretStr) -> dict[str, str]:
    """The header by which a device shows its token."""
    return {"Authorization": f"{SCHEME} {token.get_secret_value()}"}


def read_tokens(path: Path | None, environment: Mapping[str, str] = os.environ) -> tuple[SecretStr, ...]:
    """The tokens in a file, one a line, or else the one in JANUS_TOKEN, if there is one.

    ConfigError for what cannot be read or is no token; it never says what stands there.
    """
    if path is None:
        token = environment.get(VARIABLE, "").strip()
        return (_checked(token, f"the environment variable {VARIABLE}"),) if token else ()
    lines = enumerate(_text(path).splitlines(), start=1)
    tokens = tuple(_checked(line.strip(), f"{path}, line {number}") for number, line in lines if line.strip())
    if not 0 < len(tokens) <= MOST_TOKENS:
        raise ConfigError(f"{path}: {len(tokens)} tokens; give 1 to {MOST_TOKENS}, one a line: {HOW_TO_MAKE}")
    return tokens


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) <= MOST_BYTES:
            return data.decode("ascii")
    except OSError as error:
        raise ConfigError(f"{path}: the tokens cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        pass
    raise ConfigError(f"{path}: is no file of tokens, one a line; make one with {HOW_TO_MAKE}")


def _checked(token: str, where: str) -> SecretStr:
    if not _TOKEN.fullmatch(token):
        raise ConfigError(
            f"{where}: no token, which has 16 to 512 letters, digits and -._~+/; make one with {HOW_TO_MAKE}"
        )
    return SecretStr(token)


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogateescape")).digest()
