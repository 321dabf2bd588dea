"""Profiles of the shipped model that nobody measured: a device and a cloud, as slow as a test wants them."""

from models import SplitViT
from scheduling.profile import CodecProfile, LayerProfile, Line, Machine, Profile

TOKEN_BYTES = {"float32": 512.0, "float16": 256.0, "int8": 136.0, "int4": 72.0}
PIXEL_BYTES = {
    "raw": 196_608.0,
    "png": 130_000.0,
    "jpeg:95": 60_000.0,
    "jpeg:90": 40_000.0,
    "jpeg:80": 30_000.0,
    "h264:18": 20_000.0,
    "h264:23": 12_000.0,
}
ENTROPIES = ("", "+zstd", "+lzw")


def line(base: float, slope: float = 0.0) -> Line:
    return Line(base=base, slope=slope)


def codec(kind: str, size: Line) -> CodecProfile:
    return CodecProfile.model_validate(
        {"kind": kind, "bytes": size, "encode_ms": line(0.1), "decode_ms": line(0.1)}
    )


def codecs() -> dict[str, CodecProfile]:
    """Every codec that a policy asks for; entropy coding saves nothing."""
    tokens = {
        f"{name}{entropy}": codec("tokens", line(0.0, each))
        for name, each in TOKEN_BYTES.items()
        for entropy in ENTROPIES
    }
    pixels = {name: codec("pixels", line(size)) for name, size in PIXEL_BYTES.items()}
    return tokens | pixels | {"raw+lzw": codec("pixels", line(PIXEL_BYTES["raw"]))}


def profile_for(model: SplitViT, layer_ms: float = 1.0, *, threads: int = 1) -> Profile:
    """A machine that takes `layer_ms` for a layer of all the model's tokens, and for fewer in proportion."""
    return Profile(
        machine=Machine(
            host="box", processor="x", system="x", dtype=model.dtype, device="cpu", threads=threads
        ),
        model=model.name,
        num_layers=model.num_layers,
        num_tokens=model.num_tokens,
        dim=model.dim,
        layer=LayerProfile(
            curve=line(0.0, layer_ms / model.num_tokens), merge_ms=line(0.0), mlp_ms_per_token=0.0
        ),
        embed_ms=layer_ms,
        classify_ms=layer_ms / 10,
        codecs=codecs(),
    )
