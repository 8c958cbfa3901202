"""Where the decoder's training starts: an interpolation, whose last layer is solved for the pixels."""

from __future__ import annotations

from typing import Any, Final

import torch
import torch.nn.functional as F  # noqa: N812
from diffusers import AutoencoderKLWan
from torch import Tensor, nn

from generator.tiny.latents import CHANNELS
from generator.tiny.models import decode_unclamped

CARRIED: Final = 2 * CHANNELS  # trunk channels that pass through: this latent frame, and the one before
CONSTANTS: Final = 4  # trunk channels that hold a constant
BRANCH: Final = 0.1  # residual branches start this small
LEARNED: Final = 8  # channels of the last stage that carry nothing yet
EVERY: Final = 7  # of the pixels' rows in the regression, the others are left out
RIDGE: Final = 1e-4


@torch.no_grad()
def start_linear(vae: AutoencoderKLWan) -> None:
    """Starts the decoder as a plain interpolation of the latents, in space and time.

    The trunk carries the current and the previous latent frame, upsampling averages neighbours, residual
    branches start small. The norms divide by the length over channels: constants keep the trunk's magnitude.
    """
    decoder = vae.decoder
    vae.post_quant_conv.weight.view(CHANNELS, CHANNELS).copy_(torch.eye(CHANNELS))
    nn.init.zeros_(vae.post_quant_conv.bias)
    for name, module in decoder.named_modules():
        if name.endswith("conv2"):
            module.weight.mul_(BRANCH)
    decoder.mid_block.attentions[0].proj.weight.zero_()
    weight = decoder.conv_in.weight
    weight[:CARRIED] = 0
    weight[:CHANNELS, :, 2, 1, 1] = weight[CHANNELS:CARRIED, :, 1, 1, 1] = torch.eye(CHANNELS)
    for block in decoder.up_blocks:
        for resnet in block.resnets:
            if not isinstance(resnet.conv_shortcut, nn.Identity):
                _pass_through(resnet.conv_shortcut.weight)
        if block.upsamplers is not None:
            _interpolate(block.upsamplers[0])
    _set_biases(decoder)


def _set_biases(decoder: Any) -> None:
    for module in decoder.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d) and module.bias is not None:
            module.bias[:CARRIED] = 0
    decoder.conv_in.bias[-CONSTANTS:] = 2.0
    for block in decoder.up_blocks[:-1]:
        block.upsamplers[0].resample[1].bias[-CONSTANTS:] = 2.0
    decoder.up_blocks[-2].upsamplers[0].resample[1].bias[-CONSTANTS:] = 6.0


def _pass_through(weight: Tensor) -> None:
    weight[:CARRIED] = 0
    weight[:CARRIED, :CARRIED, 0, 0, 0] = torch.eye(CARRIED)


def _interpolate(up: Any) -> None:
    """Two frames from (now, before): half way (mean, before), then now (now, mean); bilinear in space."""
    one, nothing = torch.eye(CHANNELS), torch.zeros(CHANNELS, CHANNELS)
    half_way = torch.cat((torch.cat((one / 2, one / 2), 1), torch.cat((nothing, one), 1)))
    arrived = torch.cat((torch.cat((one, nothing), 1), torch.cat((one / 2, one / 2), 1)))
    for start, mixing in ((0, half_way), (up.dim, arrived)):
        rows = up.time_conv.weight[start : start + CARRIED]
        rows.zero_()
        rows[:, :CARRIED, 2, 0, 0] = mixing
    weight = up.resample[1].weight
    kept = min(CARRIED, len(weight) - LEARNED)
    tent = torch.tensor([0.25, 0.5, 0.25])
    weight[:kept] = 0
    weight[range(kept), range(kept)] = tent[:, None] * tent[None, :]


@torch.no_grad()
def fit_output(vae: AutoencoderKLWan, pairs: list[tuple[Tensor, Tensor]]) -> None:
    """Solves `conv_out` by ridge regression from the decoder's features to the same frame's pixels.

    `pairs` are latents [1, C, 1 + k, h, w] and clips [1, 3, 1 + 4k, 16h, 16w] in [-1, 1].
    """
    features: list[Tensor] = []
    conv = vae.decoder.conv_out
    hook = conv.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
    rows, targets = [], []
    for latents, clip in pairs:
        features.clear()
        decode_unclamped(vae, latents)
        x = torch.cat(features, 2)[0].transpose(0, 1)
        rows.append(F.unfold(x, 3, padding=1).transpose(1, 2).reshape(-1, 9 * x.shape[1])[::EVERY])
        targets.append(_packed(clip)[::EVERY])
    hook.remove()
    solution = _ridge_regression(torch.cat(rows).double(), torch.cat(targets).double()).float()
    conv.weight.zero_()
    conv.weight[:, :, 2] = solution[:-1].T.reshape(len(conv.weight), -1, 3, 3)
    conv.bias.copy_(solution[-1])


def _packed(clip: Tensor) -> Tensor:
    """Pixels as the decoder's last layer gives them: [T * h * w, 48]."""
    t, h, w = clip.shape[2:]
    return clip[0].view(3, t, h // 4, 4, w // 4, 4).permute(1, 2, 4, 0, 5, 3).reshape(-1, 48)


def _ridge_regression(x: Tensor, y: Tensor) -> Tensor:
    """Weights [features + 1, outputs]; the last row is the constant."""
    x = torch.cat((x, torch.ones(len(x), 1, dtype=x.dtype)), 1)
    gram = x.T @ x
    solution: Tensor = torch.linalg.solve(
        gram + RIDGE * gram.diagonal().mean() * torch.eye(len(gram)), x.T @ y
    )
    return solution
