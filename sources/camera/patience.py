"""How long a client may take."""

REQUEST_S = 10.0
SESSION_S = 60.0


class Patience:
    """`until` is when a client has been silent too long: REQUEST_S after a request began that is not whole
    yet, the first one included, and SESSION_S after the last sign of life otherwise."""

    def __init__(self, now_s: float) -> None:
        self.until = now_s + REQUEST_S
        self._waiting = True

    def heard(self, now_s: float, unfinished: bool) -> None:
        """Something came; while a request is `unfinished`, its further bytes gain it no time."""
        if not unfinished:
            self.until = now_s + SESSION_S
        elif not self._waiting:
            self.until = now_s + REQUEST_S
        self._waiting = unfinished
