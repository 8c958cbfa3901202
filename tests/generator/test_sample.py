"""The mark through real pipelines: tiled and untiled decode, leaks refused, cancel, errors of pipelines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from generator import SafeGenerator, System, load_system
from generator.admit import Allowed
from generator.errors import Cancelled, LeakError, QualityError, RequestError, SampleError
from generator.request import Request
from generator.sample import MarkedFrames, call_arguments, sample, to_bytes
from generator.seams import marked_assembly
from generator.stages import never_cancelled, no_progress
from tests.generator.conftest import MEDIA_ID, InPlaceDetector
from watermark import AudioDetector, Detector, EmbeddingError, KeyRing, Mark

CLIP = Request(prompt="a boat", width=256, height=256, frames=5, steps=2, seed=3)
PICTURE = Request(prompt="a boat", width=256, height=256, steps=2, seed=3)
Run = Callable[..., MarkedFrames]


@pytest.fixture
def mark(ring: KeyRing) -> Mark:
    return Mark(ring.subkey(3), MEDIA_ID)


def _sample(safe: SafeGenerator, request: Request, mark: Mark, **hooks: Any) -> MarkedFrames:
    hooks = {"progress": no_progress, "cancelled": never_cancelled} | hooks
    return sample(
        safe.system, safe.admit(request), mark, listener=AudioDetector(safe.detector.rings), **hooks
    )


@pytest.mark.parametrize(
    ("name", "request_", "tiled"), [("safe_wan", CLIP, False), ("safe_image", PICTURE, True)]
)
def test_the_mark_is_in_the_output_and_not_without_us(
    name: str, request_: Request, tiled: bool, mark: Mark, detector: Detector, request: pytest.FixtureRequest
) -> None:
    safe: SafeGenerator = request.getfixturevalue(name)
    vae = safe.system.pipeline.vae
    (vae.enable_tiling if tiled else vae.disable_tiling)()
    marked = _sample(safe, request_, mark)
    found = detector.detect(marked.pixels)
    assert found.media_id == MEDIA_ID
    assert found.log10_p <= -6

    allowed = safe.admit(request_)
    arguments = call_arguments(safe.system, allowed.request, (), lambda *_: {})
    with torch.inference_mode():
        plain = safe.system.pipeline(**arguments)
    frames = to_bytes(plain.frames[0] if hasattr(plain, "frames") else plain.images)
    assert not detector.detect(frames).found
    assert frames.shape == marked.pixels.shape
    vae.disable_tiling()


@pytest.mark.parametrize("offload", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_mark_is_in_whatever_the_precision_and_wherever_the_weights_wait(
    saved: Path,
    dtype: torch.dtype,
    offload: bool,
    safe_image: SafeGenerator,
    mark: Mark,
    detector: Detector,
) -> None:
    system = load_system(saved, dtype=dtype, offload=offload)
    marked = _sample(replace(safe_image, system=system), PICTURE, mark)
    assert InPlaceDetector(detector.rings).detect(marked.pixels).media_id == MEDIA_ID


def test_a_seed_gives_the_same_pictures_again_and_another_does_not(
    safe_image: SafeGenerator, mark: Mark
) -> None:
    first, again = (_sample(safe_image, PICTURE, mark).pixels for _ in range(2))
    other = _sample(safe_image, PICTURE.with_seed(4), mark).pixels
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_progress_is_told_per_step(safe_image: SafeGenerator, mark: Mark) -> None:
    told: list[tuple[str, float]] = []
    _sample(safe_image, PICTURE, mark, progress=lambda stage, share: told.append((stage, share)))
    assert told == [("sample", 0.0), ("sample", 0.5), ("sample", 1.0), ("decode", 0.0)]


def test_cancelling_ends_the_run_between_steps_without_a_decode(
    safe_image: SafeGenerator, mark: Mark, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[object] = []
    monkeypatch.setattr(type(safe_image.system.pipeline.vae), "decode", lambda *a, **k: decoded.append(a))
    seen: list[float] = []
    with pytest.raises(Cancelled):
        _sample(
            safe_image,
            PICTURE,
            mark,
            progress=lambda _, share: seen.append(share),
            cancelled=lambda: len(seen) == 2,
        )
    assert seen == [0.0, 0.5]
    assert decoded == []


def test_what_the_callers_own_progress_raises_is_passed_on_untouched(
    safe_image: SafeGenerator, mark: Mark
) -> None:
    class LeaseLost(Exception):  # noqa: N818
        pass

    def progress(stage: str, share: float) -> None:
        raise LeaseLost

    with pytest.raises(LeaseLost):
        _sample(safe_image, PICTURE, mark, progress=progress)
    assert len(_sample(safe_image, PICTURE, mark).pixels) == 1  # the system is as good as before


def test_a_pipeline_that_decodes_nothing_is_an_error(
    safe_image: SafeGenerator, mark: Mark, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = safe_image.system.pipeline

    def latents_only(self: Any, *args: Any, **arguments: Any) -> Any:
        return original(self, *args, **arguments | {"output_type": "latent"})

    original = type(pipeline).__call__
    latents_only.__signature__ = __import__("inspect").signature(original)  # type: ignore[attr-defined]
    monkeypatch.setattr(type(pipeline), "__call__", latents_only)
    with pytest.raises(EmbeddingError, match="nothing was decoded"):
        _sample(safe_image, PICTURE, mark)


def test_what_a_pipeline_raises_is_wrapped_with_its_name(
    safe_image: SafeGenerator, mark: Mark, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = safe_image.system.pipeline.scheduler
    monkeypatch.setattr(scheduler, "set_timesteps", _raiser(ZeroDivisionError("boom")))
    with pytest.raises(SampleError, match="ZeroDivisionError: boom"):
        _sample(safe_image, PICTURE, mark)


def test_want_of_memory_says_what_to_do(
    safe_image: SafeGenerator, mark: Mark, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = safe_image.system.pipeline.scheduler
    monkeypatch.setattr(scheduler, "set_timesteps", _raiser(torch.OutOfMemoryError("no")))
    with pytest.raises(SampleError, match="smaller or shorter"):
        _sample(safe_image, PICTURE, mark)


def _raiser(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_an_argument_that_the_pipeline_lacks_is_an_error(safe_image: SafeGenerator) -> None:
    spec = replace(safe_image.system.spec, options={"shoe_size": 42})
    system = System(spec, safe_image.system.pipeline, "sha256:0")
    with pytest.raises(RequestError, match="takes no shoe_size"):
        call_arguments(system, spec.complete(PICTURE), (), lambda *_: {})


def test_the_pipeline_never_gets_a_callback_that_sees_latents(safe_wan: SafeGenerator) -> None:
    allowed: Allowed = safe_wan.admit(CLIP)
    arguments = call_arguments(safe_wan.system, allowed.request, (), lambda *_: {})
    assert arguments["callback_on_step_end_tensor_inputs"] == []
    assert arguments["output_type"] == "pt"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_not_finite_never_become_bytes(bad: float) -> None:
    frames = torch.full((2, 3, 8, 8), 0.5)
    frames[1, 0, 3, 3] = bad
    with pytest.raises(QualityError, match="frame 1"):
        to_bytes(frames)


def test_rounding_is_to_the_nearest_grey_level() -> None:
    ramp = torch.linspace(0, 1, 256).expand(1, 3, 4, 256)
    assert np.array_equal(to_bytes(ramp)[0, 0, :, 1], np.arange(256))


def test_an_assembled_clip_is_marked_once_and_whole(mark: Mark, detector: Detector) -> None:
    from diffusers.video_processor import VideoProcessor

    processor = VideoProcessor(vae_scale_factor=8)
    video = torch.rand(1, 3, 5, 256, 256, generator=torch.Generator().manual_seed(1)) * 0.4
    with marked_assembly(processor, mark):
        clip = processor.postprocess_video(video, output_type="pt")
    assert type(processor) is VideoProcessor
    assert detector.detect(to_bytes(clip[0])).media_id == MEDIA_ID


@pytest.mark.parametrize("calls", [0, 2])
def test_an_assembled_clip_must_be_finished_exactly_once(mark: Mark, calls: int) -> None:
    from diffusers.video_processor import VideoProcessor

    processor = VideoProcessor(vae_scale_factor=8)

    def finish() -> None:
        with marked_assembly(processor, mark):
            for _ in range(calls):
                processor.postprocess_video(torch.zeros(1, 3, 1, 256, 256), output_type="pt")

    with pytest.raises(EmbeddingError, match=f"{calls} times"):
        finish()


def test_an_assembled_clip_cannot_leave_as_latents_or_past_a_patched_processor(mark: Mark) -> None:
    from diffusers.video_processor import VideoProcessor

    processor = VideoProcessor(vae_scale_factor=8)
    with pytest.raises(LeakError, match="latents"), marked_assembly(processor, mark):
        processor.postprocess_video(torch.zeros(1, 3, 1, 256, 256), output_type="latent")
    processor.postprocess_video = print
    with pytest.raises(LeakError, match="replaced on the instance"), marked_assembly(processor, mark):
        pass
