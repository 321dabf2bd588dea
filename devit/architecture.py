"""What a model is made of, before it is made: `Architecture`, and the six of DeViT's Table II."""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from models.registry import Architecture as SplitArchitecture
from models.registry import get_architecture
from pipeline.errors import ConfigError

Kind = Literal["vit", "deit", "cct", "mae_st", "videomae"]

HEAD_DIM = 64
TUBELET = 2
POOL_STRIDE = 2
MOST = 1 << 16
OF_CLIPS: tuple[Kind, ...] = ("mae_st", "videomae")
LIKE: dict[Kind, SplitArchitecture] = {
    "vit": get_architecture("vit_base_patch16_224"),
    "deit": get_architecture("deit_base_distilled_patch16_224"),
    "cct": replace(get_architecture("deit_base_patch16_224"), prefix=0),
    "mae_st": get_architecture("mae_st_vit_base_patch16_16x224"),
    "videomae": get_architecture("videomae_base_patch16_16x224"),
}


@dataclass(frozen=True, slots=True)
class Architecture:
    """All that fixes a model's function, but for its weights; ConfigError for what cannot be built.

    `patch` is the side of the pixels that one token stands for. A CCT comes to it in `stages`
    convolutions of `kernel` x `kernel`, each of which shrinks the picture by the same factor, half of
    it by pooling. `frames` is 1 for images; a clip has tokens of 2 x patch x patch pixels. A vit takes
    either, mae_st and videomae take clips and pool their tokens by mean: they are the models of the
    registry with these names, but for their positions, which are learned. Prefix tokens, pooling, pixels
    and crop of each kind are those of the published model in `LIKE`.
    """

    kind: Kind
    input_size: int
    frames: int
    patch: int
    depth: int
    heads: int
    mlp: int
    num_classes: int
    kernel: int = 7
    stages: int = 2

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ConfigError(f"architecture {self.kind!r} is unknown; choose {', '.join(get_args(Kind))}")
        for name in (
            "input_size",
            "frames",
            "patch",
            "depth",
            "heads",
            "mlp",
            "num_classes",
            "kernel",
            "stages",
        ):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= MOST:
                raise ConfigError(f"{self.kind}: {name} must be 1 to {MOST}, not {value!r}")
        if self.input_size % self.patch:
            raise ConfigError(
                f"{self.kind}: input size {self.input_size} is no multiple of the patch {self.patch}"
            )
        self._check_frames()
        if self.kind == "cct":
            self._check_stages()

    def _check_frames(self) -> None:
        if self.frames == 1 and self.kind in OF_CLIPS:
            raise ConfigError(f"{self.kind}: takes clips of an even number of frames, not images")
        if self.frames > 1 and (self.kind not in ("vit", *OF_CLIPS) or self.frames % TUBELET):
            raise ConfigError(
                f"{self.kind}: clips are for vit, mae_st and videomae and of an even number, "
                f"not {self.frames} frames"
            )

    def _check_stages(self) -> None:
        if self.stride**self.stages * POOL_STRIDE**self.stages != self.patch:
            raise ConfigError(
                f"cct: {self.stages} stages cannot make a patch of {self.patch}; each shrinks by 2, 4, 6, ..."
            )
        if self.kernel < self.stride or self.kernel % 2 == 0:
            raise ConfigError(f"cct: kernel must be odd and {self.stride} or more, not {self.kernel!r}")

    @property
    def dim(self) -> int:
        """D: channels of a token, 64 for each head (DeViT, section III-B)."""
        return HEAD_DIM * self.heads

    @property
    def stride(self) -> int:
        """Of each convolution of a CCT; the pooling behind it has stride 2."""
        return round(math.pow(self.patch, 1 / self.stages)) // POOL_STRIDE

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tokens along time, height and width."""
        side = self.input_size // self.patch
        return max(1, self.frames // TUBELET), side, side

    @property
    def prefix(self) -> int:
        """Tokens in front of the patches: class, distillation."""
        return LIKE[self.kind].prefix

    @property
    def spec(self) -> SplitArchitecture:
        """The same model as `models` describes one: for `preprocess`, and for parts that SplitViT runs."""
        like = LIKE[self.kind]
        return replace(
            like,
            name=f"devit_{self.kind}",
            dim=self.dim,
            num_layers=self.depth,
            num_heads=self.heads,
            num_classes=self.num_classes,
            input_size=self.input_size,
            patch_size=self.patch,
            clip_frames=self.frames,
            tubelet=TUBELET if self.frames > 1 else 1,
            positions="learned",
            norm="norm" if like.pool == "token" else "fc_norm",
        )

    def with_classes(self, num_classes: int) -> "Architecture":
        """The same model with another number of classes."""
        return replace(self, num_classes=num_classes)


VIT_L = Architecture("vit", 224, 1, 16, depth=24, heads=16, mlp=4096, num_classes=1000)
DEVIT = Architecture("vit", 224, 1, 16, depth=12, heads=3, mlp=768, num_classes=1000)
DEIT_B = Architecture("deit", 224, 1, 16, depth=12, heads=12, mlp=3072, num_classes=1000)
DEDEIT = Architecture("deit", 224, 1, 16, depth=12, heads=3, mlp=768, num_classes=1000)
CCT_14 = Architecture("cct", 224, 1, 16, depth=14, heads=6, mlp=1152, num_classes=1000)
DECCT = Architecture("cct", 224, 1, 16, depth=7, heads=4, mlp=512, num_classes=1000)
