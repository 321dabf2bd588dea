"""The sockets of a server, bound before anything is taken from them."""

import asyncio
import errno
import os
import socket

from pipeline.errors import ConfigError

WAITING = 128
# A name may stand for addresses that this machine does not have, such as ::1 where there is no IPv6.
NOT_OURS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


async def listen(host: str, port: int) -> list[socket.socket]:
    """A socket for each of the host's addresses ("" is every one), all at the same port; 0 takes a free one.

    ConfigError when none can be had, or one belongs to somebody else.
    """
    listeners: list[socket.socket] = []
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        last = found[-1]
        for each in found:
            port = listeners[0].getsockname()[1] if listeners else port
            try:
                listeners.append(_bound(each[0], (each[4][0], port, *each[4][2:])))
            except OSError as error:
                if error.errno not in NOT_OURS or (each is last and not listeners):
                    raise
    except (OSError, UnicodeError) as error:
        for listener in listeners:
            listener.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {_reason(error)}; choose another port or host"
        ) from None
    return listeners


def _bound(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.create_server(address, family=family, backlog=WAITING)
    listener.setblocking(False)
    return listener


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, socket.gaierror) or not isinstance(error, OSError) or error.errno is None:
        return str(getattr(error, "strerror", None) or error)
    return os.strerror(error.errno)
