"""The mark inside `vae.decode` (docs/adr/0002-where-the-mark-is-embedded.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, is_dataclass
from typing import Any

import torch
from torch import Tensor

from watermark.embed import Mark
from watermark.errors import EmbeddingError

_HOOKED = "_assay_mark"  # class attribute of a swapped class, by which nesting is seen


@dataclass
class DecodeRecord:
    """What happened inside one `marked_decode`: `calls` to decode, `marked` pictures or frames that left
    it.
    """

    calls: int = 0
    marked: int = 0
    _inside: bool = field(default=False, repr=False)

    def require(self) -> None:
        """Raise `EmbeddingError` unless something was decoded, and with it marked."""
        if self.calls == 0 or self.marked == 0:
            raise EmbeddingError(
                "nothing was decoded, so nothing is marked; "
                "ask the pipeline for pictures, not output_type='latent'"
            )


@contextmanager
def marked_decode(vae: Any, mark: Mark) -> Iterator[DecodeRecord]:
    """Within the context every `vae.decode` returns marked pictures; afterwards `vae` is as it was.

    `vae` is a diffusers autoencoder whose decode gives [-1, 1] pictures, [B, 3, H, W] or [B, 3, F, H, W],
    as a tensor, a tuple or an output object with `sample`. Its instance gets a subclass of its own class
    under the same name, so `isinstance`, saving, tiling, slicing and offloading go on as before; forward
    hooks never fire for `decode`. Raises `EmbeddingError` for a VAE that cannot be held: no `decode`, a
    `decode` on the instance (compiled or patched, which would shadow the mark), or one that is marked
    already.
    """
    _refuse_what_would_shadow(vae)
    record = DecodeRecord()
    original = type(vae)
    vae.__class__ = _marked_class(original, mark, record)
    try:
        yield record
        if "decode" in vars(vae):
            raise EmbeddingError(
                "decode was replaced on this VAE while it was being marked; its pictures may be unmarked"
            )
    finally:
        vae.__class__ = original


def _refuse_what_would_shadow(vae: Any) -> None:
    if not callable(getattr(type(vae), "decode", None)):
        raise EmbeddingError(f"{type(vae).__name__} has no decode method to mark")
    if "decode" in vars(vae):
        raise EmbeddingError(
            "this VAE carries a decode of its own, compiled or patched, which would bypass the mark; "
            "compile the whole VAE, or compile decode inside marked_decode"
        )
    if hasattr(type(vae), _HOOKED):
        raise EmbeddingError("this VAE is being marked already; one decode carries one mark")


def _marked_class(original: type[Any], mark: Mark, record: DecodeRecord) -> type[Any]:
    def decode(self: Any, *args: Any, **kwargs: Any) -> Any:
        if record._inside:  # the VAE's own decode calls itself for slices: only the whole is marked
            return original.decode(self, *args, **kwargs)
        record.calls += 1
        record._inside = True
        try:
            output = original.decode(self, *args, **kwargs)
        finally:
            record._inside = False
        given = {_storage(value) for value in (*args, *kwargs.values()) if isinstance(value, Tensor)}
        marked, frames = _mark_output(output, mark, given)
        record.marked += frames
        return marked

    names = {
        "__module__": original.__module__,
        "__qualname__": original.__qualname__,
        "__doc__": original.__doc__,
    }
    return type(original.__name__, (original,), {**names, "decode": decode, _HOOKED: mark})


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _mark_output(output: Any, mark: Mark, given: set[int]) -> tuple[Any, int]:
    """The same kind of output with marked pictures in it, and how many; `given` is the memory of the
    arguments, which is not written to.
    """
    if isinstance(output, Tensor):
        return _mark_sample(output, mark, given)
    if isinstance(output, tuple) and output and isinstance(output[0], Tensor):
        marked, frames = _mark_sample(output[0], mark, given)
        return (marked, *output[1:]), frames
    if is_dataclass(output) and isinstance(getattr(output, "sample", None), Tensor):
        sample: Any = output
        sample.sample, frames = _mark_sample(sample.sample, mark, given)
        return sample, frames
    raise EmbeddingError(f"decode returned {type(output).__name__}, in which there is no picture to mark")


@torch.no_grad()
def _mark_sample(sample: Tensor, mark: Mark, given: set[int]) -> tuple[Tensor, int]:
    """[B, 3, H, W] are pictures, [B, 3, F, H, W] are B clips; both in [-1, 1], which decoders overshoot a
    little. They are marked where they lie, so that the mark takes no memory of its own, unless an argument
    of `decode` or autograd needs them as they are.
    """
    in_place = not (sample.requires_grad or _storage(sample) in given or _is_sealed(sample))
    if sample.ndim == 4:
        return mark.apply_to_decoded(sample, clip=False, in_place=in_place), len(sample)
    if sample.ndim == 5:
        clip = sample.shape[2] > 1
        marked = sample if in_place else torch.empty_like(sample)
        for source, target in zip(sample.transpose(1, 2), marked.transpose(1, 2), strict=True):
            unit = mark.apply_to_decoded(source, clip=clip, in_place=in_place)
            if not in_place:
                target.copy_(unit)
        return marked, sample.shape[0] * sample.shape[2]
    raise EmbeddingError(
        f"decode returned a tensor of shape {list(sample.shape)}; expected 4 or 5 dimensions"
    )


def _is_sealed(sample: Tensor) -> bool:
    """Whether it was made in inference mode, and is handed out of it: such tensors can't be written to."""
    return sample.is_inference() and not torch.is_inference_mode_enabled()
