"""Files that a verb writes at its end: refused at its beginning if they cannot be written."""

from pathlib import Path

from pipeline.errors import ConfigError


def make_room(path: Path) -> None:
    """See to it that `path` can become a file, its folder included; ConfigError otherwise."""
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; name a file in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        existed = path.exists()
        path.open("ab").close()
        if not existed:
            path.unlink()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None
