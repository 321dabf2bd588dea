"""Linear layers in the forms that a transformer layer needs: plain, before a GELU, onto a residual."""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

INT8_MOST = 127
CUDA_ROWS = 8


class LinearForm(nn.Module, ABC):
    """x [..., in] to [..., out], in one of the forms below. `x` may be overwritten: it is for this alone."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor: ...

    def gelu(self, x: Tensor) -> Tensor:
        """GELU of the product."""
        return F.gelu(self.forward(x))

    def add(self, x: Tensor, residual: Tensor) -> Tensor:
        """The product plus `residual` [..., out]."""
        return residual + self.forward(x)


class Linear(LinearForm):
    """Float weights [out, in] with gradients, on any device. Starts uninitialised."""

    def __init__(self, fan_in: int, fan_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(fan_out, fan_in))
        self.bias = nn.Parameter(torch.zeros(fan_out))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class OneDnnLinear(LinearForm):
    """Weights laid out once for oneDNN, GELU and residual fused; CPU, float32 or bfloat16."""

    def __init__(self, plain: Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(plain.weight.detach().to(dtype))
        self.bias = plain.bias.detach().to(dtype)

    @staticmethod
    def is_available(dtype: torch.dtype) -> bool:
        if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            return False
        return dtype == torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())

    def forward(self, x: Tensor) -> Tensor:
        return self._pointwise(x, "none")

    def gelu(self, x: Tensor) -> Tensor:
        return self._pointwise(x, "gelu")

    def add(self, x: Tensor, residual: Tensor) -> Tensor:
        added: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, residual, self.weight, self.bias, "add")
        return added

    def _pointwise(self, x: Tensor, name: str) -> Tensor:
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, name, [], "none")
        return result


class Int8Linear(LinearForm):
    """Int8 activations with one scale a token by int8 weights with one scale an output channel.

    Integers are summed exactly and scaled back to float32 once; `forward` rounds to `dtype`.
    """

    def __init__(self, plain: Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        weight, scale = quantise(plain.weight.detach().float().clone())
        self.weight, self.scale = weight, scale.flatten()
        self.bias = plain.bias.detach().float()

    def forward(self, x: Tensor) -> Tensor:
        rows, scale = self._product(x)
        scaled = torch.addcmul(self.bias, rows, scale, out=rows)
        return scaled.to(self.dtype).view(*x.shape[:-1], -1)

    def gelu(self, x: Tensor) -> Tensor:
        activated: Tensor = torch.ops.aten.gelu_(self.forward(x))
        return activated

    def add(self, x: Tensor, residual: Tensor) -> Tensor:
        rows, scale = self._product(x)
        added = torch.addcmul(residual.reshape(rows.shape), rows, scale, out=rows)
        return added.add_(self.bias).view(residual.shape)

    def _product(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Float32 [rows, out], still to be multiplied by the scale [rows, 1] of each token."""
        quantised, scale = quantise(x.reshape(-1, x.shape[-1]).float())
        return self._multiply(quantised), scale

    def _multiply(self, quantised: Tensor) -> Tensor:
        rows = quantised.shape[0]
        sums = torch._int_mm(_padded(quantised), self.weight.t())[:rows]
        return sums.float().mul_(self.scale)


class Int8OneDnnLinear(Int8Linear):
    """The same function with weights laid out once for oneDNN and their scale fused; CPU with AMX.

    On a CPU that has VNNI alone oneDNN multiplies signed activations in its reference loop, hundreds of
    times slower than `torch._int_mm`.
    """

    def __init__(self, plain: Linear, dtype: torch.dtype) -> None:
        super().__init__(plain, dtype)
        self.zero = torch.zeros(len(self.scale), dtype=torch.int32)
        self.weight = torch.ops.onednn.qlinear_prepack(self.weight, None)

    @staticmethod
    def is_available() -> bool:
        return hasattr(torch.ops.onednn, "qlinear_pointwise") and torch.cpu._is_amx_tile_supported()

    def _multiply(self, quantised: Tensor) -> Tensor:
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            quantised, 1.0, 0, self.weight, self.scale, self.zero, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return product


def quantise(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric int8 of float32 `rows` [n, d], which are overwritten, and their scales [n, 1]."""
    peak = torch.maximum(rows.amax(-1, keepdim=True), rows.amin(-1, keepdim=True).neg_())
    scale = peak.clamp_(min=torch.finfo(torch.float32).tiny * INT8_MOST).div_(INT8_MOST)
    return rows.mul_(scale.reciprocal()).round_().to(torch.int8), scale


def _padded(rows: Tensor) -> Tensor:
    """Rows as CUDA's integer product wants them: more than 16, a multiple of 8."""
    if not rows.is_cuda:
        return rows
    missing = max(3 * CUDA_ROWS - len(rows), -len(rows) % CUDA_ROWS)
    return F.pad(rows, (0, 0, 0, missing)) if missing else rows
