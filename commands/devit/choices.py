"""What options of `devit fit` can be; here, so that the command line needs no torch to know it."""

from enum import StrEnum


class Teachers(StrEnum):
    SUBSET = "subset"
    LARGE = "large"


class ImportanceBy(StrEnum):
    SUBSET = "subset"
    ALL = "all"
    RANDOM = "random"


class Losses(StrEnum):
    LABELS = "labels"
    PRED = "pred"
    FEAT = "feat"
    BOTH = "both"


class EnsembleLosses(StrEnum):
    LABELS = "labels"
    PRED = "pred"
    TOKEN = "token"  # noqa: S105 - the class token
    BOTH = "both"


class FusionKind(StrEnum):
    LINEAR = "linear"
    MLP = "mlp"
    SE = "se"
    ATTENTION = "attention"


class Augment(StrEnum):
    NONE = "none"
    CROP = "crop"
    FLIP = "flip"
    RAND = "rand"
