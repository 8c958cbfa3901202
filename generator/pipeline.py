"""Start here: the whole promise on one screen.

    Request -> Allowed -> MarkedFrames -> ScreenedFrames -> Encoded -> MarkedMedia -> SignedMedia -> Released

Each of these can only be made by the stage before it (generator/stages.py). A stage that cannot keep its part
raises, and then nothing is released: no file stays, `register` is not called, and the error says which stage
it was and why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from generator.admit import Allowed, Hear, admit
from generator.confirm import MarkedMedia, confirm
from generator.encode import encode
from generator.errors import SelfCheckError
from generator.estimate import device_memory, needs, require_fit
from generator.facts import made_here
from generator.inputs import inputs_of
from generator.issuer import Issuer
from generator.load import System
from generator.quality import QualityRules
from generator.references import ReadReference, reader
from generator.release import Register, Released, work_folder
from generator.request import Request
from generator.sample import sample
from generator.screen import ScreenedFrames, screen
from generator.stages import CancelRequested, Progress, never_cancelled, no_progress
from guard import Guard
from watermark import AudioDetector, MediaId


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
            progress("guard", 0.0)
            allowed = self.admit(request)
            screened, marked = self._make(allowed, media_id, work, progress, cancelled)
            progress("sign", 0.0)
            inputs = inputs_of(allowed.references, self.detector)
            facts = made_here(
                screened, marked, self.system, inputs=inputs, prompt_key=self.prompt_key, now=self.clock()
            )
            tenant = allowed.request.tenant
            return self.issue(marked, facts, tenant=tenant, register=register, cancelled=cancelled)

    def admit(self, request: Request) -> Allowed:
        """The guard's answer, and whether the result fits on the device: before anything is computed."""
        read = self.read or reader(self.limits)
        spec = self.system.spec
        allowed = admit(request, spec, self.guard, read=read, randbelow=self.randbelow, hear=self.hear)
        found = needs(self.system, allowed.request)
        require_fit(found, device_memory(self.system), spec, allowed.request)
        return allowed

    def _make(
        self, allowed: Allowed, media_id: MediaId, work: Path, progress: Progress, cancelled: CancelRequested
    ) -> tuple[ScreenedFrames, MarkedMedia]:
        """Sample, mark, screen, encode, and read the mark back; once more and stronger when it does not
        read back."""
        key, listener = self.ring.draw(self.randbelow), AudioDetector(self.detector.rings)
        for strength in self.strengths:
            mark = self.labelling.mark(key, media_id, strength)
            frames = sample(
                self.system, allowed, mark, listener=listener, progress=progress, cancelled=cancelled
            )
            progress("check", 0.0)
            screened = screen(frames, self.guard, self.quality)
            progress("encode", 0.0)
            encoded = encode(screened, work)
            progress("confirm", 0.0)
            try:
                return screened, confirm(encoded, self.detector, self.limits)
            except SelfCheckError as error:
                failure = error
        raise failure
