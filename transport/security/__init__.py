"""Who may speak with whom: certificates, bearer tokens, and what each end must show the other."""

from transport.security.access import Credentials, Entrance, is_loopback
from transport.security.certificates import client_context, server_context
from transport.security.tokens import HOW_TO_MAKE, Tokens, read_tokens

__all__ = [
    "HOW_TO_MAKE",
    "Credentials",
    "Entrance",
    "Tokens",
    "client_context",
    "is_loopback",
    "read_tokens",
    "server_context",
]
