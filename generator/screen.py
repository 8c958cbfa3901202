"""Between the decoder and the encoder: may this result go out, and is it a picture at all?"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Final

from generator.admit import enforce_output
from generator.errors import QualityError
from generator.quality import QualityReport, QualityRules, check_quality
from generator.sample import MarkedFrames
from generator.stages import Seal, require_seal
from guard import Decision, Guard

_SEAL: Final = Seal()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScreenedFrames:
    """Marked frames that passed the output rules and the quality check."""

    marked: MarkedFrames
    decision: Decision
    quality: QualityReport
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        require_seal(seal, _SEAL, "ScreenedFrames")


def screen(marked: MarkedFrames, guard: Guard, rules: QualityRules) -> ScreenedFrames:
    """Check `marked` against what was asked for, against `rules`, and against the output rules of the policy.

    Raises `QualityError` or `PolicyViolation`.
    """
    request, (count, height, width, _) = marked.allowed.request, marked.pixels.shape
    if (count, height, width) != (request.frames, request.height, request.width):
        asked = f"{request.frames} of {request.width}x{request.height}"
        raise QualityError(f"the pipeline made {count} frames of {width}x{height}; asked for {asked}")
    quality = check_quality(marked.pixels, rules)
    decision = enforce_output(marked.pixels, request, guard)
    return ScreenedFrames(marked=marked, decision=decision, quality=quality, seal=_SEAL)
