"""Who waits for tokens, in tests of those who send them."""

import anyio


class Ear:
    """Writes down what it hears of a holder, and wakes who waits for it."""

    def __init__(self):
        self.tokens, self.gone, self.losses = {}, [], []
        self.latency_ms = {}
        self.heard = anyio.Event()

    def arrived(self, clip_id, part, token, latency_ms):
        self.tokens[clip_id], self.latency_ms[clip_id] = token, latency_ms
        self._wake()

    def missing(self, clip_id, part, why):
        self.gone.append((clip_id, part, why))
        self._wake()

    def lost(self, holder):
        self.losses.append(holder.name)
        self._wake()

    def _wake(self):
        self.heard.set()
        self.heard = anyio.Event()

    async def until(self, what):
        with anyio.fail_after(10):
            while not what():
                await self.heard.wait()
