"""Matrix products with what follows them, by oneDNN's kernels where torch has them for the processor.

The weights are laid out once as those kernels like them; a residual is added, or the activation applied, while results
are still in cache. In bfloat16 they are used where the processor multiplies it. Everywhere else these are torch's own
products.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Activation: TypeAlias = Literal["none", "gelu", "gelu_tanh", "silu"]

# What oneDNN calls an activation, and which way of computing it is meant.
_OF_ONEDNN: dict[Activation, tuple[str, str]] = {
    "none": ("none", ""),
    "gelu": ("gelu", "none"),
    "gelu_tanh": ("gelu", "tanh"),
    "silu": ("swish", ""),
}
_OF_TORCH: dict[Activation, Callable[[Tensor], Tensor]] = {
    "none": lambda states: states,
    "gelu": functional.gelu,
    "gelu_tanh": lambda states: functional.gelu(states, approximate="tanh"),
    "silu": functional.silu,
}


class FusedLinear:
    """A matrix product with what follows it: a bias, then a residual or an activation.

    Args:
        layers: Linear layers whose outputs are wanted side by side; all have a bias, or none has.
        activation: After it; ``none`` for none.
    """

    def __init__(self, layers: Sequence[Any], *, activation: Activation = "none") -> None:
        weight = torch.cat([layer.weight.detach() for layer in layers])
        packed = _packed_for_onednn(weight)
        self._is_packed = packed is not None
        self._weight = weight if packed is None else packed
        biases = [layer.bias.detach() for layer in layers if layer.bias is not None]
        self._bias = torch.cat(biases) if biases else None
        self._activation = activation

    def __call__(self, states: Tensor, residual: Tensor | None = None) -> Tensor:
        """States (n, dim) through the product; ``residual``, (n, outputs), is added where there is one."""
        if self._is_packed:
            # What torch.compile makes of such products; nothing public fuses them.
            onednn = torch.ops.mkldnn._linear_pointwise
            if residual is not None:
                fused: Tensor = onednn.binary(states, residual, self._weight, self._bias, "add")
            else:
                name, algorithm = _OF_ONEDNN[self._activation]
                fused = onednn(states, self._weight, self._bias, name, [], algorithm)
            return fused
        product = functional.linear(states, self._weight, self._bias)
        if residual is not None:
            return product.add_(residual)
        return _OF_TORCH[self._activation](product)


def _packed_for_onednn(weight: Tensor) -> Tensor | None:
    """A matrix as oneDNN's kernels like it; None where they are not used."""
    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    if weight.device.type != "cpu" or not has_onednn or weight.dtype not in (torch.float32, torch.bfloat16):
        return None
    if weight.dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return None
    try:
        packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight)
    except (AttributeError, RuntimeError):  # torch was built without it
        return None
    return packed


def parted(layer: nn.Linear, parts: int) -> list[nn.Linear]:
    """The layers whose outputs, of one width, lie side by side in one's."""
    biases = [None] * parts if layer.bias is None else layer.bias.chunk(parts)
    return [with_weights(layer, *each) for each in zip(layer.weight.chunk(parts), biases, strict=True)]


def with_weights(layer: nn.Linear, weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A layer like another with other weights."""
    made = nn.Linear(layer.in_features, weight.shape[0], bias=bias is not None, device="meta")
    made.weight = nn.Parameter(weight.detach(), requires_grad=False)
    if bias is not None:
        made.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return made
