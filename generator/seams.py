"""The two places where the mark goes in: `vae.decode`, or the post-processor of a pipeline that assembles
tiles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from generator.errors import LeakError
from generator.load import System, decoders
from generator.systems import Seam
from watermark import EmbeddingError, Mark, marked_decode


@contextmanager
def marked_run(system: System, mark: Mark) -> Iterator[None]:
    """While the block runs, the pipeline of `system` gives marked pictures; leaving it without one is an
    error.

    Raises `EmbeddingError` at the end of the block when anything was decoded without the mark, or nothing was
    decoded.
    """
    if system.spec.seam is Seam.ASSEMBLED:
        with marked_assembly(system.pipeline.video_processor, mark):
            yield
        return
    with ExitStack() as stack:
        records = [
            stack.enter_context(marked_decode(decoder, mark)) for _, decoder in decoders(system.pipeline)
        ]
        yield
        for record in records:
            record.require()


@contextmanager
def marked_assembly(processor: Any, mark: Mark) -> Iterator[None]:
    """Mark in `postprocess_video`, where a pipeline that decodes in tiles or sections first holds the whole
    clip.

    The class of the instance is swapped for one of the same name, as `marked_decode` does it, and put back at
    the end. Whatever form is asked for, a tensor is what the pipeline gets.
    """
    plain = type(processor)
    if "postprocess_video" in vars(processor):
        raise LeakError(
            "video_processor.postprocess_video was replaced on the instance, which hides the mark"
        )
    calls = 0

    def postprocess_video(self: Any, video: torch.Tensor, output_type: str = "np", **options: Any) -> Any:
        nonlocal calls
        if output_type == "latent":
            raise LeakError("a pipeline asked for latents instead of pictures")
        calls += 1
        return plain.postprocess_video(self, _mark_clips(video, mark), "pt", **options)

    processor.__class__ = type(plain.__name__, (plain,), {"postprocess_video": postprocess_video})
    try:
        yield
    finally:
        processor.__class__ = plain
    if calls != 1:
        raise EmbeddingError(
            f"the pipeline assembled its result {calls} times; one marked result was expected"
        )


def _mark_clips(video: torch.Tensor, mark: Mark) -> torch.Tensor:
    """Mark float [B, 3, F, H, W] in [-1, 1]."""
    clips = [
        mark.apply((clip.transpose(0, 1) / 2 + 0.5).clamp(0, 1)) for clip in video
    ]  # [F, 3, H, W] in [0, 1]
    return torch.stack([clip.transpose(0, 1) * 2 - 1 for clip in clips])
