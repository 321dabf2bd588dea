"""From a plain model to one that is ready to serve: number type, device, fastest linear form."""

from collections.abc import Callable
from typing import get_args

import torch

from models.devices import require_device
from models.layer import Layer
from models.linear import Int8Linear, Int8OneDnnLinear, Linear, LinearForm, OneDnnLinear
from models.vit import DType, SplitViT
from pipeline.errors import ModelError

Form = Callable[[Linear], LinearForm]


def pack(model: SplitViT, dtype: DType, device: str) -> SplitViT:
    """Turn `model` itself into its serving form: no gradients, `dtype` layers, on `device`.

    The digest stays that of the float32 weights. Raises ModelError for an unknown dtype, or a
    device that this machine has not.
    """
    target = torch_device(device)
    if dtype not in get_args(DType):
        raise ModelError(f"dtype {dtype!r} is unknown; choose one of {', '.join(get_args(DType))}")
    model.freeze_digest()
    model.requires_grad_(False).eval().to(target)
    for layer in model.layers:
        pack_layer(layer, dtype, target)
    model.dtype = dtype
    if dtype == "bfloat16":
        _lower(model)
    return model


def pack_layer(layer: Layer, dtype: DType, device: torch.device) -> None:
    """Put the fastest linear forms for `dtype` and `device` into a plain layer."""
    form = _form(dtype, device)
    # int8 attention runs in bfloat16: it measures two to three times as fast as float32
    layer.attn.qkv = _packed(layer.attn.qkv, _form(dtype, device, mixed=torch.bfloat16))
    layer.attn.proj = _packed(layer.attn.proj, form)
    layer.mlp.fc1 = _packed(layer.mlp.fc1, form)
    layer.mlp.fc2 = _packed(layer.mlp.fc2, form)
    if dtype == "bfloat16":
        layer.norm1.bfloat16()
        layer.norm2.bfloat16()


def _form(dtype: DType, device: torch.device, mixed: torch.dtype = torch.float32) -> Form:
    """How to make the linear layers of `dtype`; those of int8 give out `mixed`."""
    on_cpu = device.type == "cpu"
    if dtype == "int8":
        int8 = Int8OneDnnLinear if on_cpu and Int8OneDnnLinear.is_available() else Int8Linear
        return lambda plain: int8(plain, mixed)
    number = torch.bfloat16 if dtype == "bfloat16" else torch.float32
    if on_cpu and OneDnnLinear.is_available(number):
        return lambda plain: OneDnnLinear(plain, number)
    return lambda plain: plain.to(number)


def _packed(linear: LinearForm, form: Form) -> LinearForm:
    return form(linear) if isinstance(linear, Linear) else linear


def _lower(model: SplitViT) -> None:
    """The embedding in bfloat16 as well; norm and head stay in float32, they cost next to nothing."""
    model.patch_embed.bfloat16()
    for tensor in (*model.parameters(recurse=False), *model.buffers(recurse=False)):
        tensor.data = tensor.data.bfloat16()


def torch_device(device: str) -> torch.device:
    """The device of that name; ModelError for no name of one, or for one that this machine lacks."""
    require_device(device)
    target = torch.device(device)
    if target.type == "cuda" and (target.index or 0) >= torch.cuda.device_count():
        raise ModelError(f"device {device!r}: this machine has {torch.cuda.device_count()} CUDA devices")
    return target


def configure_threads(threads: int) -> None:
    """How many threads torch uses in this process; call it before the first forward."""
    if threads < 1:
        raise ModelError(f"threads must be 1 or more, not {threads}")
    torch.set_num_threads(threads)
