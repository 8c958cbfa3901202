"""Convolutions of clips on a processor: oneDNN, where PyTorch would take its own loop.

PyTorch hands a convolution to oneDNN when batch x channels x frames x rows pass 20,480, and forgets the
columns: a decoder of few channels, which works through one clip in blocks of four frames, stays below and
takes a quarter longer, on a busy machine more.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn


def quicken(module: nn.Module) -> None:
    """Let every `Conv3d` inside `module` compute by oneDNN on processors, in place; elsewhere, and in other
    precisions than float32, all stays as it is. Results differ by rounding.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return
    for part in module.modules():
        if isinstance(part, nn.Conv3d) and part.padding_mode == "zeros" and not isinstance(part.padding, str):
            part._conv_forward = MethodType(_conv_forward, part)  # type: ignore[method-assign]


def _conv_forward(self: nn.Conv3d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if x.device.type != "cpu" or x.dtype != torch.float32 or x.ndim != 5 or torch.is_grad_enabled():
        usual: Tensor = type(self)._conv_forward(self, x, weight, bias)
        return usual
    convolve: Any = torch.mkldnn_convolution
    quick: Tensor = convolve(x, weight, bias, self.padding, self.stride, self.dilation, self.groups)
    return quick
