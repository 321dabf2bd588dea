"""Between a reading thread that must not wait and a reader that may be slow."""

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds the newest `capacity` items; what finds no room pushes the oldest out."""

    def __init__(self, capacity: int) -> None:
        self._items: deque[T] = deque(maxlen=capacity)
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: T) -> int:
        """Put `item` in, never waiting; returns how many items had to leave: none or one."""
        with self._changed:
            pushed_out = len(self._items) == self._items.maxlen
            self._items.append(item)
            self._changed.notify()
            return int(pushed_out)

    def get(self, timeout_s: float) -> T | None:
        """The oldest item, waiting for one if need be; None after `timeout_s`, or at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout_s)
            return self._items.popleft() if self._items else None

    @property
    def drained(self) -> bool:
        """Whether there is nothing left to take, now or later."""
        with self._changed:
            return self._closed and not self._items

    def close(self) -> None:
        """Nothing more will come; what is there can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
