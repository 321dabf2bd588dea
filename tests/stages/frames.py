"""Small sources and streams for tests of stages."""

import threading
from collections.abc import Iterator

import numpy as np

from pipeline.channel import Channel
from pipeline.errors import SourceError
from pipeline.items import Frame


def make_frame(index: int, source: str = "cam", rate: float = 25.0, size: int = 4) -> Frame:
    pixels = np.full((size, size, 3), index % 256, np.uint8)
    return Frame(source, index, index / rate, 100 + index / rate, pixels)


class ListSource:
    """A source of `count` frames that may break at its end; notes the threads that read it."""

    def __init__(self, name: str, count: int, error: str | None = None, rate: float | None = 25.0) -> None:
        self.name = name
        self.rate: float | None = None
        self.closed = False
        self.threads: set[str] = set()
        self.ended_in: str | None = None
        self._nominal = rate
        self._count = count
        self._error = error

    def frames(self) -> Iterator[Frame]:
        self.rate = self._nominal
        try:
            for index in range(self._count):
                self.threads.add(threading.current_thread().name)
                yield make_frame(index, self.name)
            if self._error:
                raise SourceError(self.name, self._error)
        finally:
            self.ended_in = threading.current_thread().name

    def close(self) -> None:
        self.closed = True


async def channel_of(*items: object) -> Channel:
    channel: Channel = Channel("test", max(1, len(items)))
    for item in items:
        await channel.send(item)
    channel.close()
    return channel
