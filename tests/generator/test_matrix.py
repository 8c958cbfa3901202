"""Every pipeline that has a row and can be built small: the mark is found in what it makes, tiled and whole,
and not without us; no way around it is open.

That nothing is found in an unmarked result is read where our mark would be; `test_sample.py` puts two of
them through the whole search.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data

from generator import LeakError, MediaKind, Reference, Request, System, SystemSpec, Takes
from generator.admit import _SEAL, Allowed
from generator.load import LEAKING_OPTIONS
from generator.references import ReferenceFrames
from generator.sample import MarkedFrames, call_arguments, run_passes, sample, to_bytes
from generator.stages import never_cancelled, no_progress
from generator.systems import Seam, system_named
from tests.generator.conftest import MEDIA_ID, InPlaceDetector, system_of
from tests.generator.tiny_systems import BUILDERS
from watermark import AudioDetector, Detector, KeyRing, Mark

SIDE = 256
TILE, STRIDE = 160, 128
"""Pixels of a tile, and from one to the next: two by two tiles for each frame."""
STEPS = {
    "sd1.5-hires": 2,
    "sdxl-hires": 2,
    "sd1.5-i2i": 2,
    "sdxl-i2i": 4,
    "sd3.5-medium-i2i": 2,
    "flux.1-dev-i2i": 2,
    "cogvideox-5b-v2v": 2,
    "mochi-1": 2,
    "wan2.1-v2v-1.3b": 2,
    "wan2.2-t2v-a14b": 2,
}
"""Of one step, an edit with a strength below 1 leaves nothing to do."""
FRAMES = {
    "svd-xt": 5,
    "animatediff": 5,
    "wan2.2-animate-14b": 9,
    "helios-14b": 9,
    "ltx-2": 9,
    "ltx-2-i2v": 9,
    "ltx-2.5": 9,
    "ltx-2.5-i2v": 9,
}
"""Of systems that work in chunks, one frame more than fits in one: the mark must be in every chunk. Of those
that make sound, a second of it at `FPS`."""
FPS = 8.0
SMALLER = {
    "wan2.2-animate-14b": {"segment_frame_length": 5},
    "helios-14b": {"num_latent_frames_per_chunk": 2},
    "ltx-video-long": {"decode_horizontal_tiles": 2, "decode_vertical_tiles": 2},
    "framepack-i2v": {"latent_window_size": 3},
    "svd-xt": {"decode_chunk_size": 4},
    "animatediff": {"decode_chunk_size": 4},
}
"""Options of the call by which a system works in shorter pieces."""
pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:__array:DeprecationWarning")


@pytest.fixture(params=BUILDERS, scope="module")
def system(request: pytest.FixtureRequest) -> System:
    built = system_of(request.param)
    options = {**built.spec.options, **SMALLER.get(request.param, {})}
    return replace(built, spec=replace(built.spec, options=options))


@pytest.mark.slow
def test_the_mark_is_in_a_whole_decode_and_not_without_us(
    system: System, ring: KeyRing, detector: Detector
) -> None:
    _assert_marked(_run(system, ring), detector)
    assert not InPlaceDetector([ring]).detect(_control(system)).found


def test_the_mark_is_in_a_tiled_decode(
    system: System, ring: KeyRing, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    if system.spec.name in ("svd-xt", "animatediff"):
        pytest.skip("its VAE knows no tiles: the whole decode goes through two chunks")
    tiled = _tile(system.pipeline.vae, monkeypatch)
    _assert_marked(_run(system, ring), detector)
    assert tiled


def _tile(vae: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let `vae` decode in tiles that are smaller than its pictures here; returns a list that grows with each
    tiled decode."""
    vae.enable_tiling()
    latent = TILE // getattr(vae, "spatial_compression_ratio", 8)
    for side in ("height", "width"):
        sizes = {f"tile_sample_min_{side}": TILE, f"tile_latent_min_{side}": latent}
        for name, value in (sizes | {f"tile_sample_stride_{side}": STRIDE}).items():
            if hasattr(vae, name):
                monkeypatch.setattr(vae, name, value)
    calls: list[str] = []
    for name in ("tiled_decode", "_tiled_decode"):
        if hasattr(vae, name):
            monkeypatch.setattr(vae, name, _noting(getattr(vae, name), calls))
    return calls


def _noting(method: Callable[..., Any], calls: list[str]) -> Callable[..., Any]:
    def noted(*given: Any, **named: Any) -> Any:
        calls.append(method.__name__)
        return method(*given, **named)

    return noted


def test_no_option_leads_around_the_mark(system: System) -> None:
    for option in LEAKING_OPTIONS:
        with pytest.raises(LeakError, match=option):
            replace(system, spec=replace(system.spec, options={option: "latent"}))


def test_a_decoder_that_was_replaced_is_refused(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.pipeline.vae, "decode", _identity, raising=False)
    with pytest.raises(LeakError, match="was replaced on the instance"):
        replace(system)


def test_no_callback_gets_latents(system: System) -> None:
    allowed = _allowed(system.spec)
    arguments = call_arguments(system, allowed.request, allowed.references, _identity)
    assert arguments.get("callback_on_step_end_tensor_inputs", []) == []
    assert arguments["output_type"] in ("pt", "np")


def test_enough_systems_are_in_the_matrix() -> None:
    specs = [system_named(name) for name in BUILDERS]
    assert len({spec.pipeline for spec in specs}) >= 30
    assert {spec.seam for spec in specs} == set(Seam) - {
        Seam.FETCHED
    }  # hosted systems have tests of their own


def _identity(*given: Any) -> Any:
    return given


def _run(system: System, ring: KeyRing) -> MarkedFrames:
    made = sample(
        system,
        _allowed(system.spec),
        Mark(ring.subkey(3), MEDIA_ID),
        listener=AudioDetector([ring]),
        progress=no_progress,
        cancelled=never_cancelled,
    )
    assert (made.sound is not None) == system.spec.sound
    return made


def _control(system: System) -> Any:
    allowed = _allowed(system.spec, short=True)
    callback: Callable[..., Any] = lambda *_: {}  # noqa: E731
    arguments = call_arguments(system, allowed.request, allowed.references, callback)
    with torch.inference_mode():
        plain = run_passes(system, arguments | {"output_type": "pt"})
    if not hasattr(plain, "frames"):
        return to_bytes(plain.images)
    clip = plain.frames[0]
    raw = clip.shape[0] == 3 and system.spec.name == "ltx-video-long"  # [C, F, H, W] in [-1, 1]
    return to_bytes((clip.transpose(0, 1) / 2 + 0.5).clamp(0, 1) if raw else clip)


def _assert_marked(made: MarkedFrames, detector: Detector) -> None:
    found = detector.detect(made.pixels)
    assert found.media_id == MEDIA_ID
    assert found.log10_p <= -6
    if made.sound is not None:
        assert made.sound.mark is not None
        heard = AudioDetector(detector.rings).detect(made.sound.sound.samples, made.sound.sound.rate)
        assert heard.media_id == MEDIA_ID
        assert heard.log10_p <= -6


def _allowed(spec: SystemSpec, *, short: bool = False) -> Allowed:
    """A request for more frames than one latent stands for; for as few as the system makes if it is short."""
    usual = 1 if short or spec.output is MediaKind.IMAGE else max(5, spec.frame_step + 1)
    frames = FRAMES.get(spec.name, usual)
    needed = [
        MediaKind(kind)
        for kind, takes in spec.takes.items()
        if takes is Takes.REQUIRED
        for _ in spec.names_of(kind)
    ]
    references = tuple(Reference(path=Path("coffee.png"), kind=kind) for kind in needed)
    request = Request(
        prompt="a boat" if spec.prompted else "",
        width=SIDE,
        height=SIDE,
        frames=frames,
        fps=FPS if spec.sound else None,
        steps=STEPS.get(spec.name, 1),
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
