"""What guard, mark and signature cost, as a share of the generator that they stand around.

`python -m bench.overhead mark [--system NAME_OR_FOLDER | --wan] [--pairs N] [--device DEVICE]`: the mark
alone, as a share of the decode that it happens in. Plain and marked decodes of the same latents alternate,
so that a change of the machine's load meets both; the figure is the median of the ratios of neighbours.
`--wan` decodes with random weights in the shape of Wan 2.1's own decoder: weights change nothing about time.

`python -m bench.overhead whole [--system NAME_OR_FOLDER] [--pairs N] [--device DEVICE]`: guard (the prompt,
and the frames that came out, with faces), mark and signature (with the read-back and the fingerprint) of
whole runs, as a share of the pipeline's own time, which is a plain run of the same request. Encoding and the
quality check are told beside it, as whoever releases a clip needs them, guarded or not; so is the self-check.

The limit is 5 % on a CPU, 1 % on a GPU; `--out FILE` keeps the figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console

from generator import EMBEDDED, Request, SafeGenerator, System, load_system
from generator.admit import enforce_output
from generator.confirm import confirm
from generator.encode import encode
from generator.facts import made_here
from generator.quality import check_quality
from generator.sample import call_arguments, run_passes, sample
from generator.screen import screen
from generator.sign import sign
from generator.stages import never_cancelled, no_progress
from guard import Guard, MtcnnFaces, load_policy
from provenance import SigningKey, TrustAnchors, create_dev_authority
from watermark import AudioDetector, Detector, KeyRing, Mark, MediaId, marked_decode

LIMITS = {"cpu": 0.05, "cuda": 0.01}
PROMPT = "a red balloon over a calm sea at dusk"
POLICY = Path("policies/default.yaml")
RING = KeyRing.derive(bytes((i * 37 + 11) % 256 for i in range(32)) + b"\x00bench", deployment="bench")
MARK = Mark(RING.subkey(0), MediaId(0xA55A))
WAN_SIZE, WAN_FRAMES = (480, 832), 5

Result = TypeVar("Result")


@dataclass(frozen=True)
class Overhead:
    """Median seconds of a plain and a marked decode; `share` is the median of their ratios minus one."""

    system: str
    pairs: int
    threads: int
    device: str
    plain_seconds: float
    marked_seconds: float
    share: float
    peak_bytes: tuple[int, int] | None
    torch: str
    machine: str


@dataclass(frozen=True)
class Stages:
    """Seconds of one run: `pipeline` is a plain one, `mark` what the marked one's decode took longer."""

    pipeline: float
    guard: float
    mark: float
    sign: float
    quality: float
    encode: float
    self_check: float

    @property
    def share(self) -> float:
        """Guard, mark and signature over the pipeline's own time."""
        return (self.guard + self.mark + self.sign) / self.pipeline


def measure_decode(name: str, vae: Any, latents: torch.Tensor, pairs: int, warm_up: int = 1) -> Overhead:
    """Time `pairs` pairs of decodes of `latents`, [1, C, F, h, w]; `warm_up` pairs before do not count."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    peaks: dict[bool, int] = {}
    for index in range(warm_up + pairs):
        # Every other pair runs in the other order: the first of two is often the slower one.
        for marked in (False, True) if index % 2 else (True, False):
            if latents.is_cuda:
                torch.cuda.reset_peak_memory_stats()
            taken = decode_seconds(vae, latents, MARK if marked else None)
            if index >= warm_up:
                seconds[marked].append(taken)
            if latents.is_cuda:
                peaks[marked] = torch.cuda.max_memory_allocated()
    shares = [m / p - 1 for p, m in zip(seconds[False], seconds[True], strict=True)]
    return Overhead(
        system=name,
        pairs=pairs,
        threads=torch.get_num_threads(),
        device=str(latents.device),
        plain_seconds=statistics.median(seconds[False]),
        marked_seconds=statistics.median(seconds[True]),
        share=statistics.median(shares),
        peak_bytes=(peaks[False], peaks[True]) if peaks else None,
        torch=torch.__version__,
        machine=platform.machine(),
    )


def latents_of(system: System) -> torch.Tensor:
    """Random latents of the size that the system's default clip has: [1, C, F, h, w]. Content costs
    nothing extra."""
    spec, vae = system.spec, system.pipeline.vae
    scale, step = vae.config.scale_factor_spatial, vae.config.scale_factor_temporal
    shape = (1, vae.config.z_dim, (spec.frames - 1) // step + 1, spec.height // scale, spec.width // scale)
    return _noise(shape, vae)


def wan_decoder(device: str, frames: int) -> tuple[Any, torch.Tensor]:
    """Wan 2.1's decoder with random weights, and latents of so many frames at 480p."""
    from diffusers import AutoencoderKLWan

    torch.manual_seed(0)
    vae = AutoencoderKLWan().eval().to(device, torch.bfloat16 if device == "cuda" else torch.float32)
    height, width = WAN_SIZE
    return vae, _noise((1, vae.config.z_dim, (frames - 1) // 4 + 1, height // 8, width // 8), vae)


def _noise(shape: tuple[int, ...], vae: Any) -> torch.Tensor:
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


def measure_whole(maker: SafeGenerator, request: Request, mark_seconds: float, work: Path) -> Stages:
    """One plain run and one guarded one of `request`, stage by stage. `mark_seconds` is what `measure_decode`
    found that a marked decode takes longer: the difference of two whole runs would drown in their spread."""
    admitted, allowed = _timed(lambda: maker.admit(request))
    arguments = call_arguments(maker.system, allowed.request, allowed.references, lambda *_: {})
    with torch.inference_mode():
        pipeline, _ = _timed(lambda: run_passes(maker.system, arguments))
    frames = sample(
        maker.system,
        allowed,
        MARK,
        listener=AudioDetector(maker.detector.rings),
        progress=no_progress,
        cancelled=never_cancelled,
    )
    quality, _ = _timed(lambda: check_quality(frames.pixels, maker.quality))
    looked, _ = _timed(lambda: enforce_output(frames.pixels, allowed.request, maker.guard))
    screened = screen(frames, maker.guard, maker.quality)
    encoding, encoded = _timed(lambda: encode(screened, work))
    checking, marked = _timed(lambda: confirm(encoded, maker.detector, maker.limits))
    facts = made_here(
        screened, marked, maker.system, inputs=(), prompt_key=maker.prompt_key, now=maker.clock()
    )
    signing, _ = _timed(
        lambda: sign(
            marked, facts, key=maker.signing_key, trust=maker.trust, tenant="bench", limits=maker.limits
        )
    )
    return Stages(pipeline, admitted + looked, mark_seconds, signing, quality, encoding, checking)


def _timed(run: Callable[[], Result]) -> tuple[float, Result]:
    start = time.perf_counter()
    result = run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start, result


def maker_of(system: System, folder: Path) -> SafeGenerator:
    """A generator with the shipped policy, a development authority and one ring."""
    authority = create_dev_authority(folder, now=datetime.now(UTC))
    return SafeGenerator(
        system=system,
        guard=Guard(load_policy(POLICY), faces=MtcnnFaces(), consents=None, clock=lambda: datetime.now(UTC)),
        prompt_key=bytes(32),
        ring=RING,
        detector=Detector([RING]),
        signing_key=SigningKey.from_files(authority.chain, authority.key),
        trust=TrustAnchors.bundled().with_claim_root(authority.root.read_bytes()),
        folder=folder / "out",
        clock=lambda: datetime.now(UTC),
    )


def whole(system: System, request: Request, pairs: int) -> tuple[Stages, Overhead]:
    """Medians over `pairs` runs, after one that does not count."""
    decode = measure_decode(system.spec.name, system.pipeline.vae, latents_of(system), pairs)
    mark_seconds = max(0.0, decode.marked_seconds - decode.plain_seconds)
    with tempfile.TemporaryDirectory() as folder:
        maker = maker_of(system, Path(folder))
        runs = [
            measure_whole(maker, request, mark_seconds, Path(tempfile.mkdtemp(dir=folder)))
            for _ in range(1 + pairs)
        ][1:]
    names = [each.name for each in fields(Stages)]
    return Stages(*(statistics.median(getattr(run, name) for run in runs) for name in names)), decode


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("mark", "whole"), nargs="?", default="mark")
    parser.add_argument("--system", default=EMBEDDED, help="a system's name, or a folder")
    parser.add_argument("--wan", action="store_true", help="Wan 2.1's decoder with random weights, 480p")
    parser.add_argument("--frames", type=int, default=WAN_FRAMES, help="with --wan: 4k+1")
    parser.add_argument("--steps", type=int, help="of the whole run; default: the system's own")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    options = parser.parse_args()
    console, limit = Console(), LIMITS[torch.device(options.device).type]
    figures: dict[str, Any] = {}
    if options.what == "whole":
        system = load_system(options.system, device=options.device)
        stages, decode = whole(system, Request(prompt=PROMPT, seed=1, steps=options.steps), options.pairs)
        figures, share = asdict(stages) | {"decode": asdict(decode), "share": stages.share}, stages.share
        console.print(", ".join(f"{name} {value:.2f} s" for name, value in asdict(stages).items()))
        console.print(
            f"{system.spec.name}: guard + mark + sign [bold]{share:.1%}[/bold] of the pipeline's time"
        )
    else:
        if options.wan:
            vae, latents = wan_decoder(options.device, options.frames)
            found = measure_decode(
                f"Wan 2.1 decoder, {options.frames} frames", vae, latents, options.pairs, 0
            )
        else:
            system = load_system(options.system, device=options.device)
            found = measure_decode(options.system, system.pipeline.vae, latents_of(system), options.pairs)
        figures, share = asdict(found), found.share
        console.print(
            f"{found.system}: decode {found.plain_seconds:.2f} s, marked {found.marked_seconds:.2f} s, "
            f"[bold]{share:+.1%}[/bold] ({found.pairs} pairs, {found.threads} threads)"
        )
    if options.out:
        options.out.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if share <= limit else 1


if __name__ == "__main__":
    raise SystemExit(main())
