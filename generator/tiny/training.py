"""What both training scripts share: averaged weights, learning-rate curve, log and checkpoints."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, overload

import torch
from torch import Tensor, nn

MOMENTUM: Final = 0.95  # of Muon


class Average:
    """Exponential moving average of a module's floating-point state."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {k: v.detach().clone() for k, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Moves towards the module; faster in the first steps, when the start values still weigh."""
        keep = min(self.decay, (1 + step) / (10 + step))
        for name, value in module.state_dict().items():
            self.state[name].lerp_(value, 1 - keep)


class Muon(torch.optim.Optimizer):
    """Momentum whose matrix is made orthogonal before each step, in float32 and for convolutions too.

    Jordan et al., "Muon: an optimizer for hidden layers", 2024; steps are scaled to the size of AdamW's (Liu
    et al., "Muon is scalable for LLM training", 2025). torch.optim.Muon takes matrices only, and computes in
    bfloat16, which most processors emulate.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, decay: float = 0.01) -> None:
        super().__init__(parameters, {"lr": lr, "decay": decay})

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step; every parameter must have a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for weight in group["params"]:
                memory = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                memory.lerp_(weight.grad, 1 - MOMENTUM)
                flat = torch.lerp(weight.grad, memory, MOMENTUM).flatten(1)
                size = 0.2 * max(flat.shape) ** 0.5
                weight.mul_(1 - group["lr"] * group["decay"])
                weight.add_(orthogonal(flat).view_as(weight), alpha=-group["lr"] * size)
        return loss


def orthogonal(matrix: Tensor) -> Tensor:
    """Roughly U V^T of the matrix's singular vectors, by four Newton-Schulz steps."""
    x: Tensor = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / (torch.linalg.vector_norm(x) + 1e-12)
    for _ in range(4):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


def rate(step: int, total: int, *, warmup: int, decay: float) -> float:
    """Linear warm-up, constant, then linear decay to 2 % over the last `decay` part of `total` steps."""
    up = min(1.0, (step + 1) / warmup)
    left = (total - step) / max(1.0, decay * total)
    return up * min(1.0, max(0.02, left))


class Log:
    """JSON lines: one object per call, with the seconds since the start."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._start = path, time.monotonic()

    def write(self, **values: float | int | str) -> None:
        """Appends one line and prints it."""
        rounded = {k: round(v, 5) if isinstance(v, float) else v for k, v in values.items()}
        line = json.dumps({"seconds": round(time.monotonic() - self._start, 1), **rounded})
        with self._path.open("a", encoding="utf-8") as out:
            out.write(line + "\n")
        print(line, flush=True)


def save_checkpoint(path: Path, **parts: object) -> None:
    """Writes atomically, so that an interrupted run leaves the last whole checkpoint."""
    scratch = path.with_suffix(".part")
    torch.save(parts, scratch)
    scratch.replace(path)


def clip(parameters: Iterable[Tensor], limit: float = 1.0) -> float:
    """Clips the gradient norm and returns it."""
    return float(nn.utils.clip_grad_norm_(parameters, limit))
