"""A slow device, a fast cloud, and random moments, for tests of whatever decides between them."""

from hypothesis import strategies as st

from pipeline.items import Moment
from scheduling.levels import Levels, exponential_prunings
from scheduling.profile import CodecProfile, LayerProfile, Line, Machine, Profile

NUM_LAYERS = 6
NUM_TOKENS = 101
LAST = NUM_LAYERS + 1
SPLITS = (0, 1, 2, 4, LAST)

TOKEN_CODECS = {"float32": 256.0, "int8": 70.0}
PIXEL_CODECS = {"png": 90_000.0, "jpeg:90": 15_000.0}
EVERY_CODEC = (None, *TOKEN_CODECS, *PIXEL_CODECS)


def line(base: float, slope: float = 0.0) -> Line:
    return Line(base=base, slope=slope)


def make_codecs() -> dict[str, CodecProfile]:
    """Tokens: bytes a token and a trifle of time. Pixels: so many bytes, and a millisecond or two."""
    trifle = line(0.1, 0.001)
    tokens = {
        name: CodecProfile(kind="tokens", bytes=line(0.0, each), encode_ms=trifle, decode_ms=trifle)
        for name, each in TOKEN_CODECS.items()
    }
    pixels = {
        name: CodecProfile(kind="pixels", bytes=line(size), encode_ms=line(2.0), decode_ms=line(1.0))
        for name, size in PIXEL_CODECS.items()
    }
    return tokens | pixels


def make_profile(
    layer: Line, *, codecs: dict[str, CodecProfile] | None = None, merge_ms: float = 0.0, **parts: float
) -> Profile:
    """A model of 6 layers and 101 tokens; `parts` may be embed_ms, classify_ms and overhead_ms."""
    return Profile(
        machine=Machine(host="box", processor="x", system="x", dtype="float32", device="cpu", threads=1),
        model="small",
        num_layers=NUM_LAYERS,
        num_tokens=NUM_TOKENS,
        dim=64,
        layer=LayerProfile(curve=layer, merge_ms=line(merge_ms), mlp_ms_per_token=0.0),
        codecs=make_codecs() if codecs is None else codecs,
        **{"embed_ms": 0.0, "classify_ms": 0.0} | parts,
    )


def make_device(**rest: float) -> Profile:
    """About 270 ms without merging, 120 ms with all there may be."""
    return make_profile(line(4.0, 0.4), embed_ms=3.0, classify_ms=1.0, **rest)


def make_cloud(**rest: float) -> Profile:
    """About 25 ms without merging."""
    return make_profile(line(1.0, 0.03), embed_ms=0.5, classify_ms=0.2, **rest)


def make_levels(prunings: int = 8, tolerance: float = 0.0) -> Levels:
    return Levels.unmeasured(
        exponential_prunings(NUM_LAYERS, NUM_TOKENS, prunings), EVERY_CODEC, tolerance=tolerance
    )


def moments(connected: st.SearchStrategy[bool] | None = None) -> st.SearchStrategy[Moment]:
    """Moments of all kinds: dead links, long queues, throttled machines, no deadline."""
    waits = st.just(0.0) | st.floats(0, 500)
    factors = st.just(1.0) | st.floats(0.25, 4)
    return st.builds(
        Moment,
        budget_ms=st.just(float("inf")) | st.floats(0, 2000),
        mbps=st.just(0.0) | st.floats(0.001, 1000),
        rtt_ms=st.floats(0, 300),
        device_wait_ms=waits,
        link_wait_ms=waits,
        cloud_wait_ms=waits,
        device_factor=factors,
        cloud_factor=factors,
        connected=st.booleans() if connected is None else connected,
    )
