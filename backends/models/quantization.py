"""Int8 linear layers for CPUs.

Faster than float32 where the processor multiplies bytes (AVX-512 VNNI), and less exact.
"""

from __future__ import annotations

from typing import Any

import torch

_LARGEST = 127


class Int8Linear(torch.nn.Module):
    """A linear layer whose products are of bytes.

    Weights are rounded once, with a scale for each output; inputs as they come, with a scale for
    each token (as in ZeroQuant, Yao et al. 2022, arXiv 2206.01861). A token's numbers so do not
    depend on what is in its batch.

    Parameters
    ----------
    linear
        The layer it stands for.
    """

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        weight, self.scale = _rounded(linear.weight.detach().float())
        self.scale = self.scale.T.contiguous()
        self.weight = torch.nn.Parameter(weight, requires_grad=False)
        self.bias = linear.bias

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return outputs of shape ``(..., outputs)`` for inputs of shape ``(..., inputs)``."""
        rows, scale = _rounded(inputs.reshape(-1, inputs.shape[-1]))
        outputs = torch._int_mm(rows, self.weight.T).to(inputs.dtype).mul_(scale).mul_(self.scale)
        if self.bias is not None:
            outputs += self.bias
        return outputs.view(*inputs.shape[:-1], -1)


def quantize(model: Any) -> int:  # noqa: ANN401
    """Make a model's linear layers, but not its output head, int8; return how many."""
    layers = [
        (parent, name, layer)
        for parent in model.base_model.modules()
        for name, layer in parent.named_children()
        if isinstance(layer, torch.nn.Linear) and layer is not model.get_output_embeddings()
    ]
    for parent, name, layer in layers:
        setattr(parent, name, Int8Linear(layer))
    return len(layers)


def _rounded(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a matrix as bytes, and the scale of each row, of shape ``(rows, 1)``."""
    scale = (
        matrix.abs().amax(1, keepdim=True).div_(_LARGEST).clamp_min_(torch.finfo(matrix.dtype).tiny)
    )
    return (matrix / scale).round_().to(torch.int8), scale
