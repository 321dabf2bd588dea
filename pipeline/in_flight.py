"""A bound on how many clips are between their plan and their record."""

import anyio


class InFlight:
    """At most `most` clips under way at once; None for no bound. Each is let in once, and out once."""

    def __init__(self, most: int | None) -> None:
        self._room = None if most is None else anyio.Semaphore(most)
        self._inside: set[str] = set()

    async def enter(self, clip_id: str) -> None:
        """Wait for room."""
        if self._room is not None:
            await self._room.acquire()
            self._inside.add(clip_id)

    def leave(self, clip_id: str) -> None:
        """Make room; a clip that never entered changes nothing."""
        if self._room is not None and clip_id in self._inside:
            self._inside.remove(clip_id)
            self._room.release()
