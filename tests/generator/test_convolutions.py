"""Clips convolve by oneDNN and come out the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from generator.convolutions import quicken
from tests.generator.tiny_systems.wan import wan_vae


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of what oneDNN was asked to convolve."""
    shapes: list[tuple[int, ...]] = []
    usual: Any = torch.mkldnn_convolution

    def noting(x: Tensor, *others: Any) -> Tensor:
        shapes.append(tuple(x.shape))
        result: Tensor = usual(x, *others)
        return result

    monkeypatch.setattr(torch, "mkldnn_convolution", noting)
    return shapes


@torch.inference_mode()
def test_a_decoder_gives_the_same_pictures(asked: list[tuple[int, ...]]) -> None:
    torch.manual_seed(0)
    vae = wan_vae()
    latents = torch.randn(1, 4, 2, 8, 8)
    (plain,) = vae.decode(latents, return_dict=False)
    assert asked == []
    quicken(vae)
    (quick,) = vae.decode(latents, return_dict=False)
    assert asked
    assert torch.allclose(quick, plain, atol=1e-5)


@pytest.mark.parametrize(
    "options", [{"stride": 2, "dilation": 2}, {"groups": 2}, {"padding": 1, "bias": False}]
)
@torch.inference_mode()
def test_every_option_of_a_convolution_counts(asked: list[tuple[int, ...]], options: dict[str, Any]) -> None:
    layer = nn.Conv3d(4, 6, 3, **options)
    clip = torch.randn(2, 4, 6, 9, 11)
    plain = layer(clip)
    quicken(layer)
    assert torch.allclose(layer(clip), plain, atol=1e-5)
    assert asked == [(2, 4, 6, 9, 11)]


@pytest.mark.parametrize("options", [{"padding": "same"}, {"padding_mode": "replicate", "padding": 1}])
def test_other_paddings_and_precisions_and_training_stay(
    asked: list[tuple[int, ...]], options: dict[str, Any]
) -> None:
    layer, usual = nn.Conv3d(2, 2, 3, **options), nn.Conv3d(2, 2, 3)
    quicken(layer)
    quicken(usual)
    layer(torch.randn(1, 2, 4, 4, 4))
    usual(torch.randn(1, 2, 4, 4, 4)).sum().backward()
    assert usual.weight.grad is not None
    with torch.inference_mode():
        layer(torch.randn(1, 2, 4, 4, 4))
        usual.to(torch.bfloat16)(torch.randn(1, 2, 4, 4, 4, dtype=torch.bfloat16))
    assert asked == []
