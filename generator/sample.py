"""Run the pipeline with the mark in its seam, and hand back bytes. Here, and only here, a diffusers
pipeline is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import InitVar, dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from generator.adapters import refuse_unknown
from generator.admit import Allowed
from generator.errors import GeneratorError, QualityError, RequestError, SampleError
from generator.load import System
from generator.references import ReferenceFrames, fitted
from generator.request import MediaKind, Request
from generator.seams import marked_run
from generator.sound import MadeSound, made_sound
from generator.stages import CancelRequested, Progress, Seal, require_seal, stop_if
from generator.systems import Seam, SystemSpec
from watermark import AudioDetector, Mark, WatermarkError

_SEAL: Final = Seal()
_DENOISERS: Final = ("transformer", "transformer_2", "unet")
_RATE_NAMES: Final = ("fps", "frame_rate")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarkedFrames:
    """What the pipeline made: uint8 [F, H, W, 3], sRGB, marked with `mark` before it was rounded to bytes;
    and its `sound`, marked under the same id, of a system that makes some."""

    pixels: NDArray[np.uint8]
    allowed: Allowed
    mark: Mark
    sound: MadeSound | None = None
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        require_seal(seal, _SEAL, "MarkedFrames")


def sample(
    system: System,
    allowed: Allowed,
    mark: Mark,
    *,
    listener: AudioDetector,
    progress: Progress,
    cancelled: CancelRequested,
) -> MarkedFrames:
    """Sample and decode with `mark` inside. One run at a time per system. `listener` reads the mark of the
    sound back, where there is sound.

    Raises `Cancelled` between steps, `EmbeddingError` when the mark did not go in, `QualityError` when a
    value is not finite, `RequestError` when the pipeline lacks an argument that the request needs,
    `SampleError` for what the pipeline raises itself.
    """
    progress("sample", 0.0)
    step = _step_callback(allowed.request, progress, cancelled)
    stop_if(cancelled)
    with system.lock, torch.inference_mode(), _wrapped_errors(system), _interruptible(system, cancelled):
        refuse_unknown(system.pipeline, system.adapters)
        arguments = call_arguments(system, allowed.request, allowed.references, step)
        with marked_run(system, mark):
            output = run_passes(system, arguments)
        frames = _single_result(output, system.spec.output)[: allowed.request.frames]
        pixels = to_bytes(frames)
        sound = _marked_sound(system, allowed.request, output, mark, listener)
    stop_if(cancelled)
    return MarkedFrames(pixels=pixels, allowed=allowed, mark=mark, sound=sound, seal=_SEAL)


def call_arguments(
    system: System,
    request: Request,
    references: tuple[ReferenceFrames, ...],
    step: Callable[..., dict[str, Any]],
) -> dict[str, Any]:
    """The keyword arguments of the pipeline call for a completed request with a seed.

    Raises `RequestError` when the pipeline has no argument for something that the request says: nothing is
    dropped.
    """
    spec, accepted = system.spec, inspect.signature(type(system.pipeline).__call__).parameters
    needed: dict[str, Any] = {
        "num_inference_steps": request.steps,
        "generator": torch.Generator("cpu").manual_seed(request.seed or 0),  # the same noise on every device
        # Some pipelines that assemble hand tensors out raw; asked for arrays, they all come past the seam.
        "output_type": "np" if spec.seam is Seam.ASSEMBLED else "pt",
        **spec.options,
        **_reference_arguments(request, references, spec),
    }
    optional: dict[str, Any] = {"callback_on_step_end": step, "callback_on_step_end_tensor_inputs": []}
    # A system that has no such argument takes the size from its reference, which was fitted to the request.
    (optional if references else needed).update(width=request.width, height=request.height)
    optional.update({name: round(request.fps) for name in _RATE_NAMES if request.fps})
    if spec.prompted:
        needed["prompt"] = request.prompt
    if request.negative_prompt:
        needed["negative_prompt"] = request.negative_prompt
    for name, value in (
        (spec.guidance_name, request.guidance),
        (spec.frames_name if spec.output is MediaKind.VIDEO else None, request.frames),
        ("max_sequence_length" if spec.max_sequence_length else None, spec.max_sequence_length),
    ):
        if name:
            needed[name] = value
    missing = sorted(set(needed) - set(accepted))
    if missing:
        raise RequestError(f"{spec.name}: {type(system.pipeline).__name__} takes no {', '.join(missing)}")
    return needed | {name: value for name, value in optional.items() if name in accepted}


def run_passes(system: System, arguments: dict[str, Any]) -> Any:
    """Call the pipeline; of a system of two passes, both. The latents between them leave this function to
    nobody."""
    second = system.spec.second_pass
    if second is None:
        return system.pipeline(**arguments)
    import diffusers  # late: it takes seconds, and marking a file from elsewhere never needs it

    width, height = arguments["width"], arguments["height"]
    small = {"width": width // second.scale, "height": height // second.scale, "output_type": "latent"}
    latents = system.pipeline(**arguments | small).images
    size = [side * second.scale for side in latents.shape[-2:]]
    large = torch.nn.functional.interpolate(latents, size=size, mode="bicubic")
    kept = {name: value for name, value in arguments.items() if name not in ("width", "height")}
    # `from_pipe` drops components of a class that it does not know, such as a VAE that is being marked.
    refiner = getattr(diffusers, second.pipeline).from_pipe(system.pipeline, vae=system.pipeline.vae)
    refiner.set_progress_bar_config(disable=True)
    return refiner(**kept, image=large, strength=second.strength)


def _reference_arguments(
    request: Request, references: tuple[ReferenceFrames, ...], spec: SystemSpec
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in spec.takes:
        given = [reference for reference in references if reference.reference.kind == kind]
        for name, reference in zip(spec.names_of(kind), given, strict=False):
            frames = [fitted(frame, request.width or 0, request.height or 0) for frame in reference.frames]
            found[name] = frames[0] if kind == MediaKind.IMAGE else frames
    return found


def _step_callback(
    request: Request, progress: Progress, cancelled: CancelRequested
) -> Callable[..., dict[str, Any]]:
    """The callback of the denoising loop. An exception is the one way to end it without a decode."""
    steps = request.steps or 1

    def on_step_end(pipeline: Any, index: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        with _callers_errors():
            stop_if(cancelled)
            progress("sample", min(1.0, (index + 1) / steps))
            if index + 1 >= steps:
                progress("decode", 0.0)
        return {}

    return on_step_end


@contextmanager
def _interruptible(system: System, cancelled: CancelRequested) -> Iterator[None]:
    """Ask before every pass of a denoiser too: some pipelines have no callback, and a step may take
    minutes."""

    def ask(*_: object) -> None:
        with _callers_errors():
            stop_if(cancelled)

    handles = [
        module.register_forward_pre_hook(ask)
        for name in _DENOISERS
        if (module := getattr(system.pipeline, name, None)) is not None
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _CallerError(BaseException):
    """Carries what the caller's own functions raised through the pipeline, past any `except Exception` in
    it."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


@contextmanager
def _callers_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise _CallerError(error) from error


@contextmanager
def _wrapped_errors(system: System) -> Iterator[None]:
    try:
        yield
    except _CallerError as passed:
        _free(system)
        raise passed.error from None
    except (GeneratorError, WatermarkError):
        _free(system)
        raise
    except torch.OutOfMemoryError as error:
        _free(system)
        raise SampleError(
            f"{system.spec.name}: out of device memory; ask for a smaller or shorter result"
        ) from error
    except Exception as error:  # whatever a third-party pipeline raises
        _free(system)
        raise SampleError(
            f"{system.spec.name}: the pipeline failed: {type(error).__name__}: {error}"
        ) from error


def _free(system: System) -> None:
    """Give offloaded models back to the host; a pipeline does so itself only when it ends well."""
    system.pipeline.maybe_free_model_hooks()


def _single_result(output: Any, kind: MediaKind) -> torch.Tensor:
    """The one clip or picture of a pipeline's output: float [F, 3, H, W] in [0, 1]."""
    batch = output.frames if kind is MediaKind.VIDEO else output.images
    dims = 5 if kind is MediaKind.VIDEO else 4
    if not isinstance(batch, torch.Tensor) or batch.ndim != dims or len(batch) != 1:
        raise SampleError(f"expected one {kind} as a tensor, got {getattr(batch, 'shape', type(batch))}")
    return batch[0] if kind is MediaKind.VIDEO else batch


def _marked_sound(
    system: System, request: Request, output: Any, mark: Mark, listener: AudioDetector
) -> MadeSound | None:
    """The track of the clip; None where the system makes none, or a picture was asked for."""
    if not system.spec.sound or request.format is None or request.format.kind is not MediaKind.VIDEO:
        return None
    wave = getattr(output, "audio", None)
    if not isinstance(wave, torch.Tensor) or wave.ndim != 3 or len(wave) != 1:
        raise SampleError(f"expected the sound of one clip, got {getattr(wave, 'shape', type(wave))}")
    samples = wave[0].float().cpu().numpy()
    rate = int(system.pipeline.vocoder.config.output_sampling_rate)
    seconds = (request.frames or 0) / (request.fps or 1)
    return made_sound(samples, rate, seconds, mark.key, mark.media_id, listener)


def to_bytes(frames: torch.Tensor) -> NDArray[np.uint8]:
    """Round float [F, 3, H, W] in [0, 1] to uint8 [F, H, W, 3] in host memory.

    Frame by frame, so that the device never holds a second clip. Raises `QualityError` on NaN or infinity:
    cast to a byte, it would look like a black picture.
    """
    count, channels, height, width = frames.shape
    pixels = torch.empty((count, height, width, channels), dtype=torch.uint8)
    for index, frame in enumerate(frames):
        if not bool(torch.isfinite(frame).all()):
            raise QualityError(
                f"frame {index} holds values that are not finite; try another seed or a wider dtype"
            )
        pixels[index] = (frame.float() * 255).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0)
    return pixels.numpy()
