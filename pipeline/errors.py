"""Every error that Janus raises on purpose.

    JanusError                  one clear line for the user; exit status 2 when it reaches the top
    ├── ConfigError             a setting, a flag or a configuration file is wrong
    ├── ModelError              an unknown model, or weights that do not fit it
    ├── SourceError             a video or camera that cannot be opened or decoded any further
    │   └── StreamLost          a camera that broke off or does not answer: it may come back
    ├── SinkError               results cannot be written
    ├── CodecError              bytes that do not decode to their declared shape, or an array no codec takes
    ├── ProtocolError           a message that breaks the rules of the wire
    │   └── MessageTooLarge     a message above the size both ends agreed on
    └── LinkError               the connection to the cloud
        ├── HandshakeRefused    the peer answered and will never accept us: retrying is useless
        └── LinkLost            the peer went away, or did not come back in time

A message says what was wrong, where (file, key, clip, address) and what would be right.
"""


class JanusError(Exception):
    """Base of all errors a user can cause or mend; `str(error)` is one complete line."""


class ConfigError(JanusError):
    """A setting, a flag or a configuration file is wrong."""


class ModelError(JanusError):
    """An unknown model, or weights that do not fit it."""


class SourceError(JanusError):
    """A video or camera that cannot be opened, or not be decoded any further."""

    def __init__(self, source: str, message: str) -> None:
        super().__init__(f"{source}: {message}")
        self.source = source


class StreamLost(SourceError):
    """A camera that broke off or does not answer and may come back; `refused`: it answered, and said no."""

    def __init__(self, source: str, reason: str, refused: bool = False) -> None:
        super().__init__(source, reason)
        self.reason = reason
        self.refused = refused


class SinkError(JanusError):
    """Results cannot be written."""


class CodecError(JanusError):
    """Bytes that do not decode to their declared shape, or an array that a codec cannot take."""


class ProtocolError(JanusError):
    """A message that breaks the rules of the wire."""


class MessageTooLarge(ProtocolError):
    """A message above the size that both ends agreed on; `taker` is who would have to take it."""

    def __init__(self, what: str, num_bytes: int, limit_bytes: int, taker: str = "cloud") -> None:
        super().__init__(
            f"{what}: message of {num_bytes} bytes is over the agreed limit of {limit_bytes} bytes; "
            f"choose a smaller codec, or raise --max-message-mb on the {taker}"
        )
        self.num_bytes = num_bytes
        self.limit_bytes = limit_bytes


class LinkError(JanusError):
    """The connection to the cloud."""


class HandshakeRefused(LinkError):
    """The peer answered and will never accept us: retrying is useless."""


class LinkLost(LinkError):
    """The peer went away, or did not come back in time."""


def in_one_line(error: Exception) -> str:
    """What an error that nobody raised on purpose says: its kind, and its words without the address, which
    may hold a password, that the system's errors end with."""
    words = " ".join(str(getattr(error, "strerror", None) or error).split())
    return f"{type(error).__name__}: {words}"
