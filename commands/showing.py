"""What a configuration file makes device and cloud show each other: whether that would do."""

import re

from commands.security import credentials_for, entrance_of
from configs.files import CloudFile, DeviceFile, PeerFile, ReplayFile
from configs.settings import LinkSettings, ServerSettings
from pipeline.errors import ConfigError

FILES = ("token_file", "tls_ca", "tls_cert", "tls_key", "tls_client_ca")
_OPTION = re.compile(r"--([a-z][a-z-]+)( FILE)?")


def require_secure(settings: DeviceFile | ReplayFile | CloudFile | PeerFile) -> None:
    """ConfigError, about keys of the file rather than options, for what the verb would not start with."""
    try:
        if isinstance(settings, CloudFile | PeerFile):
            entrance_of(settings)
        else:
            for url in filter(None, (settings.link.url, *settings.peers.urls)):
                credentials_for(settings.link, url)
    except ConfigError as error:
        raise ConfigError(_in_keys(str(error), settings)) from None


def _in_keys(said: str, settings: DeviceFile | ReplayFile | CloudFile | PeerFile) -> str:
    """An error that is about options and paths, about keys."""
    shown: LinkSettings | ServerSettings
    shown, before = (settings, "") if isinstance(settings, CloudFile | PeerFile) else (settings.link, "link.")

    def key(found: re.Match[str]) -> str:
        name = found[1].replace("-", "_")
        return f"{before}{name}" + (": FILE" if found[2] else ": true" if name == "insecure" else "")

    for name in FILES:
        path = getattr(shown, name, None)
        if path is not None and re.match(rf"{re.escape(str(path))}(?=[:, ])", said):
            return f"{before}{name}: {said}"
    return _OPTION.sub(key, said)
