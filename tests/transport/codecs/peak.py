"""How much memory it takes at most to decode files: `python -m tests.transport.codecs.peak`.

A request on stdin is one JSON line {"codec", "shape", "path"}, where codec "libpng" is the bare decoder; the
answer is one line {"error", "peak_bytes", "reserved_bytes"}. Each is decoded in a fork of its own, so that
what an earlier one has freed hides nothing. Every codec has been used once: loading it does not count.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
from imagecodecs import png_decode

from pipeline.errors import CodecError
from transport.codecs import get_codec

CODECS = ("png", "jpeg:90", "h264:23", "raw+zstd", "raw+lz4", "raw+lzw")


def status_bytes(name: str) -> int:
    """A figure of this process from the kernel's books."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def decode(codec: str, shape: list[int], path: str) -> dict[str, object]:
    data = Path(path).read_bytes()
    resident, reserved = status_bytes("VmRSS"), status_bytes("VmSize")
    error = None
    try:
        if codec == "libpng":
            png_decode(data, out=np.empty(shape, np.uint8))
        else:
            get_codec(codec).decode(data, tuple(shape))
    except CodecError as refused:
        error = str(refused)
    peak = {
        "peak_bytes": status_bytes("VmHWM") - resident,
        "reserved_bytes": status_bytes("VmPeak") - reserved,
    }
    return {"error": error, **peak}


def main() -> None:
    clip = np.zeros((1, 8, 8, 3), np.uint8)
    for codec in map(get_codec, CODECS):
        codec.decode(codec.encode(clip), clip.shape)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            print(json.dumps(decode(**json.loads(line))), flush=True)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
