"""Which layer of a large model a layer of a small one stands for: `layer_map`."""

from pipeline.errors import ConfigError


def layer_map(small: int, large: int) -> tuple[int, ...]:
    """For each of `small` layers the layer of `large` that it takes after, counted from 0.

    The linear map of DeViT's eq. 12, counted there from 1: g(j) = ceil(j * large / small). The last
    layer takes after the last, and no two after the same. Raises ConfigError where there are too few.
    """
    if not 1 <= small <= large:
        raise ConfigError(f"a model of {large} layers cannot be shrunk to {small}: choose 1 to {large}")
    return tuple(-(-layer * large // small) - 1 for layer in range(1, small + 1))
