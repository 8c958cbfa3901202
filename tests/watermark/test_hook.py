from __future__ import annotations

from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.watermark.conftest import Frame
from watermark import Detector, EmbeddingError, Mark, marked_decode

BLOCKS = {"down": ("DownEncoderBlock2D",) * 2, "up": ("UpDecoderBlock2D",) * 2}


def image_vae() -> Any:
    torch.manual_seed(0)
    return diffusers.AutoencoderKL(
        down_block_types=BLOCKS["down"], up_block_types=BLOCKS["up"], block_out_channels=(8, 8),
        norm_num_groups=2, latent_channels=4, sample_size=32,
    ).eval()  # fmt: skip


def video_vae() -> Any:
    torch.manual_seed(0)
    return diffusers.AutoencoderKLWan(base_dim=4, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1).eval()


def image_latents(**kind: Any) -> Tensor:
    return torch.randn(1, 4, 80, 80, generator=torch.Generator().manual_seed(1)).to(**kind)


def video_latents() -> Tensor:
    return torch.randn(1, 4, 2, 20, 24, generator=torch.Generator().manual_seed(1))


def tile(vae: Any) -> None:
    """Tiles small enough that the test pictures need several."""
    vae.enable_tiling()
    vae.tile_latent_min_size, vae.tile_sample_min_size = 40, 80
    vae.tile_sample_min_height = vae.tile_sample_min_width = 96
    vae.tile_sample_stride_height = vae.tile_sample_stride_width = 64


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize(("make", "latents"), [(image_vae, image_latents), (video_vae, video_latents)])
@torch.no_grad()
def test_decode_differs_by_the_mark_alone(make: Any, latents: Any, tiled: bool, mark: Mark) -> None:
    """The output is the plain decode, clamped as every pipeline does next, with the pattern on it: once,
    tiled or not.
    """
    vae = make()
    if tiled:
        tile(vae)
    plain = vae.decode(latents()).sample
    with marked_decode(vae, mark) as record:
        sample = vae.decode(latents()).sample
        (as_tuple,) = vae.decode(latents(), return_dict=False)
    record.require()
    assert record.calls == 2
    frames = plain.transpose(1, 2).flatten(0, 1) if plain.ndim == 5 else plain
    expected = mark.apply((frames / 2 + 0.5).clamp(0, 1), clip=plain.ndim == 5) * 2 - 1
    got = sample.transpose(1, 2).flatten(0, 1) if sample.ndim == 5 else sample
    assert torch.allclose(got, expected, atol=1e-5)
    assert torch.equal(sample, as_tuple)
    assert torch.equal(vae.decode(latents()).sample, plain)


@torch.no_grad()
def test_the_swapped_class_passes_for_the_original(mark: Mark) -> None:
    vae = image_vae()
    original = type(vae)
    with marked_decode(vae, mark):
        swapped = type(vae)
        assert swapped is not original
        assert isinstance(vae, diffusers.AutoencoderKL)
        for name in ("__name__", "__module__", "__qualname__"):
            assert getattr(swapped, name) == getattr(original, name)
    assert type(vae) is original


@torch.no_grad()
def test_slices_and_batches_are_marked_once_each(mark: Mark) -> None:
    vae = image_vae()
    vae.enable_slicing()
    latents = torch.cat([image_latents(), -image_latents()])
    with marked_decode(vae, mark) as record:
        sample = vae.decode(latents).sample
    assert (record.calls, record.marked) == (1, 2)
    plain = (vae.decode(latents).sample / 2 + 0.5).clamp(0, 1)
    assert torch.allclose(sample, mark.apply(plain, clip=False) * 2 - 1, atol=1e-5)


@torch.no_grad()
def test_low_precision_is_kept(mark: Mark) -> None:
    vae = image_vae().to(torch.bfloat16)
    with marked_decode(vae, mark):
        assert vae.decode(image_latents(dtype=torch.bfloat16)).sample.dtype == torch.bfloat16


def test_the_class_comes_back_after_an_error(mark: Mark) -> None:
    vae = image_vae()
    with pytest.raises(RuntimeError), marked_decode(vae, mark):
        vae.decode(torch.zeros(1, 3, 4, 4))
    assert type(vae) is diffusers.AutoencoderKL


def test_nothing_decoded_is_an_error(mark: Mark) -> None:
    with marked_decode(image_vae(), mark) as record:
        pass
    with pytest.raises(EmbeddingError, match="latent"):
        record.require()


def test_a_shadowed_decode_is_refused(mark: Mark) -> None:
    vae = image_vae()
    vae.decode = torch.compile(vae.decode)
    with pytest.raises(EmbeddingError, match="compiled"), marked_decode(vae, mark):
        pass


def test_a_decode_shadowed_inside_is_refused_when_it_ends(mark: Mark) -> None:
    vae = image_vae()
    with pytest.raises(EmbeddingError, match="replaced"), marked_decode(vae, mark):
        vae.decode = lambda latents: latents


def test_nesting_is_refused(mark: Mark) -> None:
    vae = image_vae()
    with marked_decode(vae, mark), pytest.raises(EmbeddingError, match="already"), marked_decode(vae, mark):
        pass


def test_a_vae_without_decode_is_refused(mark: Mark) -> None:
    with pytest.raises(EmbeddingError, match="no decode"), marked_decode(torch.nn.Linear(1, 1), mark):
        pass


@pytest.mark.parametrize(
    "output", [None, {"sample": torch.zeros(1, 3, 256, 256)}, (), torch.zeros(3, 256, 256)]
)
def test_an_output_without_pictures_is_refused(output: Any, mark: Mark) -> None:
    class Odd:
        def decode(self, _: Tensor) -> Any:
            return output

    odd = Odd()
    with pytest.raises(EmbeddingError), marked_decode(odd, mark):
        odd.decode(torch.zeros(1))


def test_a_plain_tensor_is_marked(photo: Frame, mark: Mark, detector: Detector) -> None:
    class Plain:
        def decode(self, sample: Tensor) -> Tensor:
            return sample

    vae = Plain()
    sample = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None] / 127.5 - 1
    with marked_decode(vae, mark) as record:
        marked = vae.decode(sample)
    record.require()
    picture = ((marked[0].permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
    assert detector.detect([np.ascontiguousarray(picture)]).media_id == mark.media_id


@pytest.mark.parametrize("frames", [1, 3])
def test_what_was_decoded_is_marked_where_it_lies(mark: Mark, frames: int) -> None:
    """No second copy of a clip; what autograd needs is left alone."""
    kept: list[Tensor] = []

    class Plain:
        def decode(self, latents: Tensor) -> Tensor:
            kept.append(latents * 1)
            return kept[-1]

    vae = Plain()
    latents = torch.rand(1, 3, frames, 160, 160)
    with marked_decode(vae, mark):
        assert vae.decode(latents).data_ptr() == kept[0].data_ptr()
        assert vae.decode(latents.requires_grad_()).data_ptr() != kept[1].data_ptr()


@pytest.mark.parametrize("inference", [False, True])
def test_arguments_of_decode_are_not_written_to(mark: Mark, inference: bool) -> None:
    class Identity:
        def decode(self, latents: Tensor) -> Tensor:
            return latents[:]

    vae = Identity()
    with torch.inference_mode(inference):
        latents = torch.rand(1, 3, 160, 160)
    before = latents.clone()
    with marked_decode(vae, mark):
        assert not torch.equal(vae.decode(latents), before)
    assert torch.equal(latents, before)
