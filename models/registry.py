"""Which models there are: one frozen specification for each."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pipeline.errors import ModelError

Triple = tuple[float, float, float]

SHIPPED = Path(__file__).parent / "weights"

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
HALF: Triple = (0.5, 0.5, 0.5)
MOTIONS = ("left", "right", "up", "down", "grow", "shrink", "clockwise", "counter-clockwise")


@dataclass(frozen=True, slots=True)
class Architecture:
    """All that fixes a model's function, but for its weights.

    `tubelet` frames of `patch_size` x `patch_size` pixels make one token. `prefix` tokens (class,
    distillation) stand in front of them. The head reads the prefix tokens ("token") or the
    size-weighted mean of the others ("mean"), through the layer norm called `norm`.
    """

    name: str
    dim: int
    num_layers: int
    num_heads: int
    num_classes: int = 1000
    input_size: int = 224
    patch_size: int = 16
    clip_frames: int = 1
    tubelet: int = 1
    prefix: int = 1
    positions: Literal["learned", "separable", "sine"] = "learned"
    pool: Literal["token", "mean"] = "token"
    norm: Literal["norm", "fc_norm"] = "norm"
    mean: Triple = HALF
    std: Triple = HALF
    crop_pct: float = 0.9
    labels: tuple[str, ...] | None = None

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tokens along time, height and width."""
        side = self.input_size // self.patch_size
        return self.clip_frames // self.tubelet, side, side

    @property
    def num_patches(self) -> int:
        time, height, width = self.grid
        return time * height * width

    @property
    def num_tokens(self) -> int:
        """x_0: tokens after embedding, prefix included."""
        return self.prefix + self.num_patches

    def with_classes(self, num_classes: int | None) -> "Architecture":
        """The same model with another number of classes, which then have no names; None changes nothing."""
        if num_classes is None or num_classes == self.num_classes:
            return self
        if num_classes < 1:
            raise ModelError(f"{self.name}: num_classes must be 1 or more, not {num_classes}")
        return replace(self, num_classes=num_classes, labels=None)

    def with_layers(self, num_layers: int) -> "Architecture":
        """The same model, deeper or shallower."""
        return replace(self, num_layers=num_layers)

    def pooled_by_mean(self) -> "Architecture":
        """The same image model with timm's global_pool="avg" head."""
        return replace(self, pool="mean", norm="fc_norm")


@dataclass(frozen=True, slots=True)
class _Width:
    dim: int
    num_layers: int
    num_heads: int


TINY, SMALL, BASE = _Width(192, 12, 3), _Width(384, 12, 6), _Width(768, 12, 12)
LARGE, HUGE = _Width(1024, 24, 16), _Width(1280, 32, 16)
WIDTHS = {"tiny": TINY, "small": SMALL, "base": BASE, "large": LARGE, "huge": HUGE}


def _vit(size: str, input_size: int = 224) -> Architecture:
    width, crop = WIDTHS[size], 0.9 if input_size == 224 else 1.0
    name = f"vit_{size}_patch16_{input_size}"
    return Architecture(
        name, width.dim, width.num_layers, width.num_heads, input_size=input_size, crop_pct=crop
    )


def _deit(size: str, input_size: int = 224, distilled: bool = False) -> Architecture:
    width = WIDTHS[size]
    return Architecture(
        f"deit_{size}_{'distilled_' if distilled else ''}patch16_{input_size}",
        width.dim,
        width.num_layers,
        width.num_heads,
        input_size=input_size,
        prefix=2 if distilled else 1,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        crop_pct=0.9 if input_size == 224 else 1.0,
    )


def _mae_st(size: str) -> Architecture:
    width = WIDTHS[size]
    return Architecture(
        f"mae_st_vit_{size}_patch16_16x224",
        width.dim,
        width.num_layers,
        width.num_heads,
        num_classes=400,
        clip_frames=16,
        tubelet=2,
        positions="separable",
        pool="mean",
        mean=(0.45, 0.45, 0.45),
        std=(0.225, 0.225, 0.225),
        crop_pct=0.875,
    )


def _videomae(size: str) -> Architecture:
    return replace(
        _mae_st(size),
        name=f"videomae_{size}_patch16_16x224",
        prefix=0,
        positions="sine",
        norm="fc_norm",
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        crop_pct=1.0,
    )


def _motions() -> Architecture:
    return replace(
        _mae_st("small"),
        name="motions",
        dim=128,
        num_layers=12,
        num_heads=4,
        num_classes=len(MOTIONS),
        input_size=64,
        mean=HALF,
        std=HALF,
        crop_pct=1.0,
        labels=MOTIONS,
    )


_ALL = (
    *(_vit(size) for size in ("tiny", "small", "base", "large")),
    _vit("large", 384),
    *(_deit(size) for size in ("tiny", "small", "base")),
    *(_deit(size, distilled=True) for size in ("tiny", "small", "base")),
    _deit("base", 384),
    *(_mae_st(size) for size in ("small", "base", "large", "huge")),
    *(_videomae(size) for size in ("small", "base", "large")),
    _motions(),
)
_BY_NAME = {architecture.name: architecture for architecture in _ALL}


def list_models() -> list[str]:
    """The names that `create_model` takes."""
    return list(_BY_NAME)


def get_architecture(name: str) -> Architecture:
    """The specification of `name`; ModelError when there is none."""
    if name not in _BY_NAME:
        raise ModelError(f"model {name!r} is unknown; choose one of {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def ships_weights(name: str) -> bool:
    """Whether weights of this model come with the project; ModelError for a name that is unknown."""
    get_architecture(name)
    return shipped_weights(name).is_file()


def shipped_weights(name: str) -> Path:
    """Where weights of this model are, if they come with the project."""
    return SHIPPED / f"{name}.safetensors"
