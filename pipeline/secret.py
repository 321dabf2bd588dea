"""Secrets in settings: a value, or where one is; never shown."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, SecretStr

MOST_SECRET_BYTES = 65_536


def reveal(value: object) -> object:
    """A secret from {"file": PATH} or {"env": NAME}, ValueError if it is not there; a value as it is."""
    match value:
        case {"env": str(name), **rest} if not rest:
            if name not in os.environ:
                raise ValueError(f"the environment variable {name} is not set")
            return os.environ[name]
        case {"file": str() | Path() as path, **rest} if not rest:
            return _secret_in(Path(path))
    return value


def _secret_in(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MOST_SECRET_BYTES).decode().rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text") from None


Secret = Annotated[SecretStr, BeforeValidator(reveal)]
