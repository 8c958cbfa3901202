"""Every pipeline that has a row and can be built small: the mark is found in what it makes, and not without
us.

The usual run takes each row through a tiled decode, where a hook in the wrong place would fail. The slow run
repeats it untiled and adds the control.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data

from generator import MediaKind, Reference, Request, System, SystemSpec, Takes
from generator.admit import _SEAL, Allowed
from generator.references import ReferenceFrames
from generator.sample import MarkedFrames, call_arguments, sample, to_bytes
from generator.stages import never_cancelled, no_progress
from generator.systems import Seam, system_named
from tests.generator.conftest import MEDIA_ID, system_of
from tests.generator.tiny_systems import BUILDERS
from watermark import Detector, KeyRing, Mark

SIDE = {MediaKind.IMAGE: 512, MediaKind.VIDEO: 256}
NEEDS_TWO_STEPS = ("mochi-1", "sd1.5-i2i", "wan2.1-v2v-1.3b", "wan2.2-t2v-a14b")
FRAMES_BY_CHUNK = {"svd-xt": 9, "animatediff": 17}
"""One frame more than `decode` gets at a time: the mark must be in every chunk."""
COSTLY = ("cogvideox-5b-i2v", "framepack-i2v", "mochi-1", "qwen-image", "svd-xt")
CHATTER = ("ignore:.*:UserWarning", "ignore:__array__:DeprecationWarning")
ROWS = [pytest.param(name, marks=pytest.mark.slow if name in COSTLY else ()) for name in BUILDERS]


@pytest.fixture(params=ROWS)
def system(request: pytest.FixtureRequest) -> System:
    return system_of(request.param)


@pytest.mark.filterwarnings(*CHATTER)
def test_the_mark_is_in_a_tiled_decode(system: System, ring: KeyRing, detector: Detector) -> None:
    if system.spec.name not in FRAMES_BY_CHUNK:  # their VAEs know no tiles; two chunks take their place
        system.pipeline.vae.enable_tiling()
    _assert_marked(_run(system, ring), detector)


@pytest.mark.slow
@pytest.mark.filterwarnings(*CHATTER)
def test_the_mark_is_in_a_whole_decode_and_not_without_us(
    system: System, ring: KeyRing, detector: Detector
) -> None:
    _assert_marked(_run(system, ring), detector)
    assert not detector.detect(_control(system)).found


def test_enough_systems_are_in_the_matrix() -> None:
    specs = [system_named(name) for name in BUILDERS]
    assert len({spec.pipeline for spec in specs}) >= 16
    assert {spec.seam for spec in specs} == set(Seam) - {
        Seam.FETCHED
    }  # hosted systems have tests of their own


def _run(system: System, ring: KeyRing) -> MarkedFrames:
    mark = Mark(ring.subkey(3), MEDIA_ID)
    return sample(system, _allowed(system.spec), mark, progress=no_progress, cancelled=never_cancelled)


def _control(system: System) -> Any:
    allowed = _allowed(system.spec)
    with torch.inference_mode():
        plain = system.pipeline(**call_arguments(system, allowed.request, allowed.references, lambda *_: {}))
    return to_bytes(plain.frames[0] if hasattr(plain, "frames") else plain.images)


def _assert_marked(made: MarkedFrames, detector: Detector) -> None:
    found = detector.detect(made.pixels)
    assert found.media_id == MEDIA_ID
    assert found.log10_p <= -6


def _allowed(spec: SystemSpec) -> Allowed:
    usual = 1 if spec.output is MediaKind.IMAGE else max(5, spec.frame_step + 1)
    frames = FRAMES_BY_CHUNK.get(spec.name, usual)
    needed = [MediaKind(kind) for kind, takes in spec.takes.items() if takes is Takes.REQUIRED]
    references = tuple(Reference(path=Path("coffee.png"), kind=kind) for kind in needed)
    request = Request(
        prompt="a boat" if spec.prompted else "",
        width=SIDE[spec.output],
        height=SIDE[spec.output],
        frames=frames,
        steps=2 if spec.name in NEEDS_TWO_STEPS else 1,
        guidance=1.0,
        seed=3,
        references=references,
    )
    picture = np.ascontiguousarray(data.coffee()[:300, :400])
    shown = tuple(
        ReferenceFrames(given, "image/png", "", (picture,) * (1 if given.kind is MediaKind.IMAGE else frames))
        for given in references
    )
    return Allowed(request=spec.complete(request), decisions=(), references=shown, seal=_SEAL)
