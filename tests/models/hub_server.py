"""A hub of one repository, `someone/some-motions`, as far as fetching a file asks of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Handler(BaseHTTPRequestHandler):
    def __init__(self, files: Mapping[str, bytes], *args: object) -> None:
        self.files = files
        super().__init__(*args)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self.wfile.write(self._answer())

    def log_message(self, *_: object) -> None:
        return

    def _answer(self) -> bytes:
        """Send the head of the answer; return its body."""
        known = self.path.startswith("/someone/some-motions/resolve/")
        content = self.files.get(self.path.rpartition("/")[2]) if known else None
        self.send_response(404 if content is None else 200)
        if content is None:
            self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", '"abc"')
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        return content or b""


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[str]:
    """The address of a hub whose repository holds `files`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, files))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
