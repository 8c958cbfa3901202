"""What it takes to put a provable file out, and the tail that all ways of making one share: sign, read back,
release."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from generator.confirm import MarkedMedia
from generator.release import Register, Released, release
from generator.sign import leave_unsigned, sign
from generator.stages import CancelRequested, stop_if
from generator.visible import Labelling
from provenance import ManifestFacts, SigningKey, TrustAnchors
from watermark import Detector, KeyRing, MediaLimits, Strength

STRONGER: Final = Strength(
    flat_luma=0.6, flat_chroma=1.5, peak_luma=2.6, peak_chroma=3.2, psnr_floor=39.0, smooth_chroma=1.0
)
"""Half as much again: for the rare picture in which the usual strength does not read back."""


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """Every source of time, chance, keys and limits is given from outside.

    `ring` marks, `detector` must know it, `signing_key` signs; `folder` is where released files appear.
    `labelling` says what is written on and into files that AI made.
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
    labelling: Labelling = field(default_factory=Labelling)

    def issue(
        self,
        marked: MarkedMedia,
        facts: ManifestFacts,
        *,
        tenant: str,
        register: Register,
        cancelled: CancelRequested,
        signed: bool = True,
    ) -> Released:
        """The last stages: sign and read back, or leave unsigned where the owner asked for it; then release.

        Raises `SigningError`, `BindingError`, `Cancelled`, and whatever `register` raises.
        """
        facts = replace(facts, **self.labelling.facts(facts.mime))
        asset = (
            sign(marked, facts, key=self.signing_key, trust=self.trust, tenant=tenant, limits=self.limits)
            if signed
            else leave_unsigned(marked, facts, tenant=tenant, limits=self.limits)
        )
        stop_if(cancelled)
        return release(asset, self.folder, register)
