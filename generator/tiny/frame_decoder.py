"""The decoder's working part: one frame at a time, from latents to pixels.

A stock AutoencoderKLWan decoder whose trunk only interpolates the latents, in space and in time, until its
last stage, does the same to every frame: its convolutions then need one of their three taps in time. That
part alone trains some twenty times faster as a network of its own, on single frames; `install` puts it into
the decoder.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import WanResidualBlock
from torch import Tensor, nn

from generator.tiny.latents import CHANNELS

ENTRY: Final = 32  # channels that enter the last stage
WIDTH: Final = 48  # channels of the last stage
CONSTANTS: Final = 4  # entering channels that start as constants: they keep the norm's divisor steady


class Norm(nn.Module):
    """Root mean square over channels, as in the stock decoder."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W]."""
        gain: Tensor = len(self.gamma) ** 0.5 * self.gamma
        return F.normalize(x, dim=1) * gain


class Branch(nn.Module):
    """Two convolutions beside the trunk, named as in the stock residual block."""

    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = Norm(entering), Norm(leaving)
        self.conv1 = nn.Conv2d(entering, leaving, 3, padding=1)
        self.conv2 = nn.Conv2d(leaving, leaving, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(entering, leaving, 1) if entering != leaving else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, entering, H, W] -> [B, leaving, H, W]."""
        inner = self.conv1(F.silu(self.norm1(x)))
        out: Tensor = self.conv_shortcut(x) + self.conv2(F.silu(self.norm2(inner)))
        return out


class FrameDecoder(nn.Module):
    """Latents of single frames [B, CHANNELS, h, w] -> pictures [B, 3, 16h, 16w], about [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.entry = nn.Conv2d(CHANNELS, ENTRY, 1)
        self.resnets = nn.Sequential(Branch(ENTRY, WIDTH), Branch(WIDTH, WIDTH))
        self.norm_out = Norm(WIDTH)
        self.conv_out = nn.Conv2d(WIDTH, 48, 3, padding=1)
        with torch.no_grad():
            self.entry.weight[:CHANNELS, :, 0, 0] = torch.eye(CHANNELS)
            _bias(self.entry)[-CONSTANTS:] = 2.0

    def forward(self, latents: Tensor) -> Tensor:
        """See the class."""
        x: Tensor = self.resnets(self.entry(double(double(latents))))
        x = self.conv_out(F.silu(self.norm_out(x)))
        b, _, h, w = x.shape
        tiles = x.view(b, 3, 4, 4, h, w)  # channel, x, y: the order of diffusers' patchify
        return tiles.permute(0, 1, 4, 3, 5, 2).reshape(b, 3, 4 * h, 4 * w)


def double(x: Tensor) -> Tensor:
    """Bilinear, as the stock upsampler with a tent for its convolution: nought beyond the border."""
    tent = torch.tensor([0.25, 0.5, 0.25])
    kernel = (tent[:, None] * tent[None, :]).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(
        F.interpolate(x, scale_factor=2, mode="nearest-exact"), kernel, padding=1, groups=x.shape[1]
    )


@torch.no_grad()
def install(frame: FrameDecoder, vae: AutoencoderKLWan) -> None:
    """Makes `vae.decode` interpolate latents in space and time and apply `frame` to every frame."""
    decoder = vae.decoder
    for weight in decoder.parameters():
        if weight.ndim == 1 or weight.shape[1:].numel() > 1:  # not the norms
            weight.zero_()
    vae.post_quant_conv.weight.zero_()
    vae.post_quant_conv.weight.view(CHANNELS, CHANNELS).copy_(torch.eye(CHANNELS))
    vae.post_quant_conv.bias.zero_()
    both = torch.eye(2 * CHANNELS)
    one, nothing = torch.eye(CHANNELS), torch.zeros(CHANNELS, CHANNELS)
    conv = decoder.conv_in.weight  # the trunk carries this latent frame, then the one before
    conv[:CHANNELS, :, 2, 1, 1] = conv[CHANNELS : 2 * CHANNELS, :, 1, 1, 1] = one
    # Two frames from (now, before): half way as (mean, before), then now as (now, mean).
    half_way = torch.cat((torch.cat((one / 2, one / 2), 1), torch.cat((nothing, one), 1)))
    arrived = torch.cat((torch.cat((one, nothing), 1), torch.cat((one / 2, one / 2), 1)))
    first, second, last = decoder.up_blocks
    for block in (first, second):
        up = block.upsamplers[0]
        for start, mixing in ((0, half_way), (up.dim, arrived)):
            up.time_conv.weight[start : start + 2 * CHANNELS, : 2 * CHANNELS, 2, 0, 0] = mixing
    second.resnets[0].conv_shortcut.weight[: 2 * CHANNELS, : 2 * CHANNELS, 0, 0, 0] = both
    tent = torch.tensor([0.25, 0.5, 0.25])
    kernel = tent[:, None] * tent[None, :]
    first.upsamplers[0].resample[1].weight[: 2 * CHANNELS, : 2 * CHANNELS] = both[..., None, None] * kernel
    entry = second.upsamplers[0].resample[1]
    entry.weight[:, :CHANNELS] = frame.entry.weight * kernel
    entry.bias.copy_(frame.entry.bias)
    for mine, stock in zip(frame.resnets, last.resnets, strict=True):
        _copy_branch(mine, stock)
    decoder.norm_out.gamma.copy_(frame.norm_out.gamma[..., None])
    _copy(frame.conv_out, decoder.conv_out)


def _copy_branch(mine: nn.Module, stock: WanResidualBlock) -> None:
    if not isinstance(mine, Branch):
        raise TypeError(f"{type(mine).__name__} is not a branch of the frame decoder")
    _copy(mine.conv1, stock.conv1)
    _copy(mine.conv2, stock.conv2)
    stock.norm1.gamma.copy_(mine.norm1.gamma[..., None])
    stock.norm2.gamma.copy_(mine.norm2.gamma[..., None])
    if isinstance(mine.conv_shortcut, nn.Conv2d):
        _copy(mine.conv_shortcut, stock.conv_shortcut)


def _copy(mine: nn.Conv2d, stock: nn.Conv3d) -> None:
    stock.weight[:, :, -1] = mine.weight
    _bias(stock).copy_(_bias(mine))


def _bias(layer: nn.Conv2d | nn.Conv3d) -> Tensor:
    if layer.bias is None:
        raise TypeError(f"{layer} has no bias")
    return layer.bias
