"""Looking for secrets in all that a program says, and a web server that hears and misbehaves."""

import base64
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, quote_plus


def forms(secret: str) -> set[str]:
    """A secret as it is, in an address, and in base64 wherever in a longer text it stands."""
    found = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
    for before in range(3):
        text = base64.b64encode(b"\0" * before + secret.encode()).decode()
        whole = text[-(-8 * before // 6) : (8 * (before + len(secret.encode()))) // 6]
        found |= {whole, whole.replace("+", "-").replace("/", "_")}
    return found


def seen(secrets: dict[str, str], places: dict[str, str]) -> set[tuple[str, str]]:
    """Which secret, by its name, stands in which place in any form."""
    return {
        (name, place)
        for name, secret in secrets.items()
        for place, text in places.items()
        if any(form in text for form in forms(secret))
    }


def command_line(process: subprocess.Popen[str]) -> str:
    return Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()


def files_below(folder: Path) -> dict[str, str]:
    """The contents of all files, whatever they hold."""
    return {
        str(path.relative_to(folder)): path.read_bytes().decode(errors="replace")
        for path in folder.rglob("*")
        if path.is_file()
    }


class Hook:
    """Answers every POST with `status`; keeps all bodies."""

    def __init__(self) -> None:
        self.status = 200
        self.url = ""
        self.bodies: list[str] = []


@contextmanager
def hook() -> Iterator[Hook]:
    heard = Hook()

    class Post(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.bodies.append(body.decode())
            self.send_response(heard.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Post)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    heard.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
