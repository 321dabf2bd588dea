"""Which layers of a large model a small one begins with, and which its layers are taught by."""

from pipeline.errors import ConfigError


def first_layers(small: int, large: int) -> tuple[int, ...]:
    """The layers of the large model whose weights a model of `small` layers begins with, counted from 0.

    The paper does not say which. They are the first ones: each of them was trained on what the one before
    it gives, and a layer that is handed anything else has to be learnt anew. Raises ConfigError where there
    are too few.
    """
    _check(small, large)
    return tuple(range(small))


def layer_map(small: int, large: int) -> tuple[int, ...]:
    """For each of `small` layers the layer of `large` that teaches it, counted from 0.

    The linear map of DeViT's eq. 12, counted there from 1: g(j) = ceil(j * large / small). The last
    layer is taught by the last, and no two by the same. Raises ConfigError where there are too few.
    """
    _check(small, large)
    return tuple(-(-layer * large // small) - 1 for layer in range(1, small + 1))


def _check(small: int, large: int) -> None:
    if not 1 <= small <= large:
        raise ConfigError(f"a model of {large} layers cannot be shrunk to {small}: choose 1 to {large}")
