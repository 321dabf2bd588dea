"""Payloads that would unpack into far more than the shape that was declared for them."""

import struct
import zlib
from dataclasses import dataclass
from fractions import Fraction

import av
import lz4.block
import numpy as np
import zstandard
from imagecodecs import jpeg8_encode, lzw_encode

from benchmarks.fuzz.bombs import png as png_of_blocks
from transport.codecs import framing

PIXELS = (1, 64, 64, 3)
TOKENS = (129, 128)
ZEROS = bytes(200_000_000)
SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"\0\0\0\0IEND\xaeB`\x82"
MANY_BYTES = 400_000


@dataclass(frozen=True)
class Bomb:
    codec: str
    shape: tuple[int, ...]
    data: bytes
    refused: bool = True


def bombs() -> dict[str, Bomb]:
    """Every one by what it is."""
    return token_bombs() | png_bombs() | jpeg_bombs() | video_bombs()


def token_bombs() -> dict[str, Bomb]:
    """Packings that yield more than the tokens, or claim to."""
    num_bytes = 4 * TOKENS[0] * TOKENS[1]
    zstd = zstandard.ZstdCompressor()
    honest = zstd.compress(ZEROS[:num_bytes])

    run = struct.pack("<I", (131071 << 3) | 2)[:3] + b"\0"
    last = struct.pack("<I", (1 << 3) | 3)[:3] + b"\0"
    payloads = {
        "zstd": (zstd.compress(ZEROS), True),
        "zstd without a size": (zstandard.ZstdCompressor(write_content_size=False).compress(ZEROS), True),
        "zstd that lies": (zstd_frame(17, num_bytes) + run * 8000 + last, True),
        "zstd with the largest window": (zstd_frame(31, num_bytes) + run * 8000 + last, True),
        "zstd in two frames": (honest + zstd.compress(ZEROS), True),
        "lz4": (lz4.block.compress(ZEROS, store_size=False), True),
        "lzw": (framing.join([bytes(lzw_encode(ZEROS))]), True),
    }
    return {
        name: Bomb(f"float32+{name.split()[0]}", TOKENS, data, refused)
        for name, (data, refused) in payloads.items()
    }


def zstd_frame(window_log: int, num_bytes: int) -> bytes:
    """A frame's header: a window of 2^(10 + window_log) bytes, a content of `num_bytes`."""
    return b"\x28\xb5\x2f\xfd\x80" + bytes([window_log << 3]) + struct.pack("<I", num_bytes)


def many(part: bytes) -> bytes:
    """As often as fits into a message."""
    return part * (MANY_BYTES // len(part))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes, width: int = 64, height: int = 64) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return SIGNATURE + header + b"".join(chunks) + END


def png_bombs() -> dict[str, Bomb]:
    """A false size, compressed text and profiles, and pixels that go on and on."""
    rows = chunk(b"IDAT", zlib.compress(bytes(64 * (64 * 3 + 1))))
    text = chunk(b"zTXt", b"key\0\0" + zlib.compress(b" " * 7_900_000, 9))
    profile = struct.pack(">I", 7_900_000) + ZEROS[:7_900_000]
    images = {
        "png of 65535 x 65535": png(rows, width=65535, height=65535),
        "png with a hundred texts": png(text * 100, rows),
        "png with texts behind": png(rows, text * 100),
        "png of empty blocks": png_of_blocks(png()[: -len(END)], bytes(64 * 193), MANY_BYTES),
        "png of empty chunks": png(many(chunk(b"IDAT", b"")), rows),
        "png with a profile": png(chunk(b"iCCP", b"key\0\0" + zlib.compress(profile, 9)), rows),
    }
    found = {name: Bomb("png", PIXELS, framing.join([image])) for name, image in images.items()}
    endless = framing.join([png(chunk(b"IDAT", zlib.compress(ZEROS[:10_000_000], 9)))])
    return found | {"png of endless rows": Bomb("png", PIXELS, endless, refused=False)}


def jpeg(width: int, height: int, kind: int = 0xC0) -> bytes:
    """A JPEG of 64 x 64 that claims to be something else."""
    data = bytearray(jpeg8_encode(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), 90))
    frame = data.index(b"\xff\xc0")
    data[frame + 1] = kind
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def progressive(width: int, height: int) -> bytes:
    """The first scan of a progressive JPEG, in which all coefficients of the picture are kept."""
    data = bytearray(jpeg(width, height, 0xC2))
    scan = data.index(b"\xff\xda")
    data[scan + 11 : scan + 14] = b"\0\0\0"
    return bytes(data)


def jpeg_bombs() -> dict[str, Bomb]:
    """False sizes, and the kinds of JPEG whose decoder keeps the whole picture."""
    good = jpeg(64, 64)
    images = {
        "jpeg of empty segments": good[:2] + many(b"\xff\xe0\0\2") + good[2:],
        "jpeg of empty segments behind": good[:-2] + many(b"\xff\xe0\0\2") + good[-2:],
        "jpeg of 65535 x 65535": jpeg(65535, 65535),
        "jpeg of 65500 x 65500": jpeg(65500, 65500),
        "progressive jpeg of 20000 x 20000": progressive(20000, 20000),
        "progressive jpeg": progressive(64, 64),
        "arithmetic jpeg": jpeg(65500, 65500, 0xCA),
        "lossless jpeg": jpeg(65500, 65500, 0xC3),
    }
    return {name: Bomb("jpeg:90", PIXELS, framing.join([image])) for name, image in images.items()}


def h264(width: int, height: int, num_frames: int = 1, pixels: str = "yuv420p") -> list[bytes]:
    """The packets of black frames."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, pixels
    encoder.framerate, encoder.thread_count = Fraction(25), 1
    encoder.options = {"preset": "ultrafast", "crf": "30"}
    packets = []
    for index in range(num_frames):
        frame = av.VideoFrame(width, height, pixels)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.pts = index
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return [*packets, *(bytes(packet) for packet in encoder.encode(None))]


def video_bombs() -> dict[str, Bomb]:
    """Parameter sets that announce huge frames, at once or later, and more frames than declared."""
    (huge,), (small,) = h264(4096, 4096), h264(64, 64)
    endless = h264(64, 64, 200)
    picture = small[small.index(b"\0\0\1\x68") :]
    picture = picture[: picture.index(b"\0\0\1", 3)].rstrip(b"\0")
    units = {
        "picture parameters": picture,
        "sequence parameters": b"\0\0\1\x67",
        "delimiters": b"\0\0\1\x09\xf0",
        "empty remarks": b"\0\0\1\x06",
        "empty slices": b"\0\0\1\x01\x80",
    }
    found = {
        f"h264 of {name}": Bomb("h264:23", PIXELS, framing.join([small + many(unit)]))
        for name, unit in units.items()
    }
    remarks = b"\0\0\1\x06" + many(b"\x05\x10" + bytes([0x55] * 16)) + b"\x80"
    return found | {
        "h264 of one long remark": Bomb("h264:23", PIXELS, framing.join([remarks + small])),
        "h264 of 4096 x 4096": Bomb("h264:23", PIXELS, framing.join([huge])),
        "h264 that grows": Bomb("h264:23", (2, *PIXELS[1:]), framing.join([small, huge])),
        "h264 of many frames": Bomb("h264:23", PIXELS, framing.join([b"".join(endless)])),
        "h264 of deep colours": Bomb("h264:23", PIXELS, framing.join(h264(64, 64, 1, "yuv444p10le"))),
    }
