"""Start here: the whole promise on one screen.

    Request -> Allowed -> MarkedFrames -> ScreenedFrames -> Encoded -> MarkedMedia -> SignedMedia -> Released

Each of these can only be made by the stage before it (generator/stages.py). A stage that cannot keep its part
raises, and then nothing is released: no file stays, `register` is not called, and the error says which stage
it was and why.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from generator.admit import Allowed, Hear, admit
from generator.confirm import MarkedMedia, confirm
from generator.encode import encode
from generator.errors import SelfCheckError
from generator.estimate import device_memory, needs, require_fit
from generator.facts import made_here
from generator.inputs import inputs_of
from generator.load import System
from generator.quality import QualityRules
from generator.references import ReadReference, reader
from generator.release import Register, Released, release, work_folder
from generator.request import Request
from generator.sample import sample
from generator.screen import ScreenedFrames, screen
from generator.sign import sign
from generator.stages import CancelRequested, Progress, never_cancelled, no_progress, stop_if
from guard import Guard
from provenance import SigningKey, TrustAnchors
from watermark import Detector, KeyRing, Mark, MediaId, MediaLimits, Strength

STRONGER: Final = Strength(flat_luma=0.6, flat_chroma=1.5, peak_luma=2.6, peak_chroma=3.2, psnr_floor=39.0)
"""Half as much again: for the rare picture in which the usual strength does not read back."""


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """What it takes to put a provable file out. Every source of time, chance, keys and limits is given from
    outside.

    `ring` marks, `detector` must know it, `signing_key` signs; `folder` is where released files appear.
    """

    ring: KeyRing
    detector: Detector
    signing_key: SigningKey
    trust: TrustAnchors
    folder: Path
    clock: Callable[[], datetime]
    randbelow: Callable[[int], int] = secrets.randbelow
    strengths: tuple[Strength, ...] = (Strength(), STRONGER)
    limits: MediaLimits = field(default_factory=MediaLimits)


@dataclass(frozen=True, kw_only=True)
class SafeGenerator(Issuer):
    """One system behind one guard. `prompt_key`, at least 32 bytes, keys the digest of prompts."""

    system: System
    guard: Guard
    prompt_key: bytes
    quality: QualityRules = field(default_factory=QualityRules)
    read: ReadReference | None = None
    hear: Hear | None = None

    def generate(
        self,
        request: Request,
        media_id: MediaId,
        *,
        register: Register,
        progress: Progress = no_progress,
        cancelled: CancelRequested = never_cancelled,
    ) -> Released:
        """Make what `request` asks for, or raise.

        Raises `PolicyViolation`, `RequestError`, `Cancelled`, `SampleError`, `QualityError`,
        `SelfCheckError`, `BindingError`, the errors of `watermark` and `provenance`, and whatever `progress`
        or `register` raise.
        """
        with work_folder(self.folder) as work:
            allowed = self.admit(request)
            screened, marked = self._make(allowed, media_id, work, progress, cancelled)
            progress("sign", 0.0)
            facts = made_here(
                screened,
                self.system,
                media_id,
                encoded=marked.path,
                inputs=inputs_of(allowed.references, self.detector),
                prompt_key=self.prompt_key,
                now=self.clock(),
            )
            signed = sign(
                marked,
                facts,
                key=self.signing_key,
                trust=self.trust,
                tenant=allowed.request.tenant,
                limits=self.limits,
            )
            stop_if(cancelled)
            return release(signed, self.folder, register)

    def admit(self, request: Request) -> Allowed:
        """The guard's answer, and whether the result fits on the device: before anything is computed."""
        read = self.read or reader(self.limits)
        spec, pipeline = self.system.spec, self.system.pipeline
        allowed = admit(request, spec, self.guard, read=read, randbelow=self.randbelow, hear=self.hear)
        found = needs(pipeline, spec, allowed.request)
        require_fit(found, device_memory(pipeline), spec, allowed.request)
        return allowed

    def _make(
        self, allowed: Allowed, media_id: MediaId, work: Path, progress: Progress, cancelled: CancelRequested
    ) -> tuple[ScreenedFrames, MarkedMedia]:
        """Sample, mark, screen, encode, and read the mark back; once more and stronger when it does not
        read back."""
        key = self.ring.draw(self.randbelow)
        for strength in self.strengths:
            frames = sample(
                self.system, allowed, Mark(key, media_id, strength), progress=progress, cancelled=cancelled
            )
            progress("check", 0.0)
            screened = screen(frames, self.guard, self.quality)
            try:
                return screened, confirm(encode(screened, work), self.detector, self.limits)
            except SelfCheckError as error:
                failure = error
        raise failure
