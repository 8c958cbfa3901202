"""What the mark costs, as a share of the decode that it happens in.

`python -m bench.overhead [--system NAME_OR_FOLDER] [--pairs N] [--device DEVICE] [--out FILE]`. Plain and
marked decodes of the same latents alternate, so that a change of the machine's load meets both; the figure is
the median of the ratios of neighbours. The limit is 5 % on a CPU.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from generator import EMBEDDED, System, load_system
from watermark import KeyRing, Mark, MediaId, marked_decode

LIMIT = 0.05
WARM_UP = 1
KEY = KeyRing.derive(bytes((i * 37 + 11) % 256 for i in range(32)) + b"\x00bench", deployment="bench").subkey(
    0
)


@dataclass(frozen=True)
class Overhead:
    """Median seconds of a plain and a marked decode; `share` is the median of their ratios minus one."""

    system: str
    frames: int
    width: int
    height: int
    pairs: int
    threads: int
    device: str
    plain_seconds: float
    marked_seconds: float
    share: float
    shares: tuple[float, ...]
    torch: str
    machine: str

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        return self.share <= LIMIT


def measure(system: System, pairs: int) -> Overhead:
    """Time `pairs` pairs of decodes of one clip at the system's own size."""
    latents = latents_of(system)
    vae = system.pipeline.vae
    mark = Mark(KEY, MediaId(0xA55A))
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for index in range(WARM_UP + pairs):
        # Every other pair runs in the other order: the first of two is often the slower one.
        for marked in (False, True) if index % 2 else (True, False):
            taken = decode_seconds(vae, latents, mark if marked else None)
            if index >= WARM_UP:
                seconds[marked].append(taken)
    shares = tuple(m / p - 1 for p, m in zip(seconds[False], seconds[True], strict=True))
    return Overhead(
        system=system.spec.name,
        frames=system.spec.frames,
        width=system.spec.width,
        height=system.spec.height,
        pairs=pairs,
        threads=torch.get_num_threads(),
        device=str(system.pipeline.device),
        plain_seconds=statistics.median(seconds[False]),
        marked_seconds=statistics.median(seconds[True]),
        share=statistics.median(shares),
        shares=shares,
        torch=torch.__version__,
        machine=platform.machine(),
    )


def latents_of(system: System) -> torch.Tensor:
    """Random latents of the size that the system's default clip has: [1, C, F, h, w]. Content costs
    nothing extra."""
    spec, vae = system.spec, system.pipeline.vae
    scale, step = vae.config.scale_factor_spatial, vae.config.scale_factor_temporal
    shape = (1, vae.config.z_dim, (spec.frames - 1) // step + 1, spec.height // scale, spec.width // scale)
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.randn(shape, generator=generator).to(vae.device, vae.dtype)


def decode_seconds(vae: Any, latents: torch.Tensor, mark: Mark | None) -> float:
    """Wall time of one decode, with the mark where one is given, until the device has finished."""
    with torch.inference_mode(), marked_decode(vae, mark) if mark else nullcontext():
        start = time.perf_counter()
        vae.decode(latents, return_dict=False)
        if latents.is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--system", default=EMBEDDED, help="a system's name, or a folder")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    options = parser.parse_args()
    found = measure(load_system(options.system, device=options.device), options.pairs)
    if options.out:
        options.out.write_text(json.dumps(asdict(found), indent=2) + "\n")
    Console().print(
        f"{found.system}: decode {found.plain_seconds:.2f} s, marked {found.marked_seconds:.2f} s, "
        f"[bold]{found.share:+.1%}[/bold] (limit {LIMIT:.0%}, {found.pairs} pairs, {found.threads} threads)"
    )
    return 0 if found.kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
