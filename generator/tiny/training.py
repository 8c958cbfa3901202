"""What both training scripts share: averaged weights, learning-rate curve, log and checkpoints."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn


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
