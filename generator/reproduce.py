"""Make a released file again from its request and record, and say whether the bytes or the pictures match.

The same weights, packages, kind of device and, on a processor, number of threads (PyTorch sums in another
order on more of them) give the same bytes; anything else gives pictures that differ in the last bits. The
encoder runs on a fixed number of threads, since it would write other bytes on more. The record's digests
tell which of the two cases it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from generator.digests import file_digest, parameters_digest, prompt_digest
from generator.encode import encode
from generator.errors import GeneratorError
from generator.facts import parameters
from generator.pipeline import SafeGenerator
from generator.release import work_folder
from generator.request import Request
from generator.sample import sample
from generator.screen import screen
from generator.stages import CancelRequested, Progress, never_cancelled, no_progress
from provenance import Record
from provenance.comparison import Match, compare
from provenance.fingerprint import MAX_VIEWS, VIEW_LINES, Sampler
from watermark import AudioDetector, MarkKey, Strength, open_media


class Likeness(StrEnum):
    """How far a file made again agrees with the one that was released."""

    BYTES = "bytes"
    """The encoded file, before it was signed, is the same byte by byte."""
    PICTURES = "pictures"
    """Other bytes, but the pictures agree with the recorded fingerprint."""
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What came of it. `differs` names what the record says otherwise: `model`, `parameters`, `prompt`.

    `psnr` in dB is against the released file where it was at hand, infinite for equal pixels.
    """

    likeness: Likeness
    differs: tuple[str, ...]
    psnr: float | None


class ReproductionError(GeneratorError):
    """The record is not of a file that this deployment made from a request."""

    reason = "not_reproducible"


def reproduce(
    maker: SafeGenerator,
    request: Request,
    record: Record,
    *,
    released: Path | None = None,
    progress: Progress = no_progress,
    cancelled: CancelRequested = never_cancelled,
) -> Reproduction:
    """Run `request`, with its seed, under the key and id of `record`; nothing is released or registered.

    The guard reads the request as at any other time. Raises `ReproductionError` where the record has no
    digest of a generated file or its key is of another ring, and whatever `SafeGenerator.generate` raises.
    """
    recorded = record.digests.get("encoded")
    if recorded is None or request.seed is None:
        raise ReproductionError(f"{record.media_id.hex}: no digest of the file, or no seed, was recorded")
    allowed = maker.admit(request)
    told = _digests(maker, allowed.request)
    differs = tuple(name for name, digest in told.items() if record.digests.get(name) != digest)
    psnr, alike, listener = None, False, AudioDetector(maker.detector.rings)
    with work_folder(maker.folder) as work:
        for strength in maker.strengths:
            mark = maker.labelling.mark(_key(maker, record), record.media_id, strength)
            frames = sample(
                maker.system, allowed, mark, listener=listener, progress=progress, cancelled=cancelled
            )
            made = encode(screen(frames, maker.guard, maker.quality), work).path
            if file_digest(made) == recorded:
                return Reproduction(Likeness.BYTES, differs, None if released is None else float("inf"))
            if strength == Strength():
                psnr = None if released is None else _psnr(made, released, maker)
                alike = _agrees(made, record, maker)
    return Reproduction(Likeness.PICTURES if alike else Likeness.NEITHER, differs, psnr)


def _digests(maker: SafeGenerator, request: Request) -> Mapping[str, str]:
    return {
        "prompt": prompt_digest(request.prompt, maker.prompt_key),
        "parameters": parameters_digest(parameters(request, maker.system)),
        "model": maker.system.digest,
    }


def _key(maker: SafeGenerator, record: Record) -> MarkKey:
    epoch, _, subkey = record.key_id.partition(".")
    if int(epoch) != maker.ring.epoch:
        raise ReproductionError(f"{record.media_id.hex} was marked in epoch {epoch}, not {maker.ring.epoch}")
    return maker.ring.subkey(int(subkey))


def _agrees(made: Path, record: Record, maker: SafeGenerator) -> bool:
    if record.fingerprint is None:
        return False
    media = open_media(made, maker.limits)
    sampler = Sampler(fps=media.fps, lines=VIEW_LINES, limit=MAX_VIEWS)
    for _ in sampler.watch(media.frames(exact=False)):
        pass
    return compare(record.fingerprint, sampler.views(), None).match is Match.MATCH


def _psnr(made: Path, released: Path, maker: SafeGenerator) -> float | None:
    pairs = zip(
        open_media(made, maker.limits).frames(), open_media(released, maker.limits).frames(), strict=False
    )
    squares = [float(np.mean((a.astype(np.float32) - b) ** 2)) for a, b in pairs if a.shape == b.shape]
    if not squares:
        return None
    error = float(np.mean(squares))
    return float("inf") if error == 0 else round(10 * float(np.log10(255**2 / error)), 2)
