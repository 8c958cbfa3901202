"""Real diffusers pipelines with components built from config: random weights, real classes, no download."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from generator.second_decoder import SamplingDecoder
from tests.generator.tiny_systems import image, ltx, video, wan

CALM: Final = 0.3
BUILDERS: Final[dict[str, Callable[[], Any]]] = {
    "wan2.1-t2v-1.3b": wan.wan,
    "wan2.2-t2v-a14b": wan.wan_two_experts,
    "wan2.1-i2v-14b": wan.wan_image_to_video,
    "wan2.1-v2v-1.3b": wan.wan_video_to_video,
    "wan2.1-vace-1.3b": wan.wan_vace,
    "wan2.2-ti2v-5b": wan.wan_residual,
    "wan2.2-animate-14b": wan.wan_animate,
    "helios-14b": wan.helios,
    "skyreels-v2-t2v-14b": wan.skyreels,
    "sana-video-2b": wan.sana_video,
    "cogvideox-5b": video.cogvideox,
    "cogvideox-5b-i2v": video.cogvideox_image_to_video,
    "cogvideox-5b-v2v": video.cogvideox_video_to_video,
    "mochi-1": video.mochi,
    "hunyuanvideo": video.hunyuan,
    "hunyuanvideo-1.5": video.hunyuan_1_5,
    "framepack-i2v": video.framepack,
    "svd-xt": video.stable_video_diffusion,
    "ltx-video": ltx.ltx,
    "ltx-video-i2v": ltx.ltx_image_to_video,
    "ltx-video-v2v": ltx.ltx_conditioned,
    "ltx-video-long": ltx.ltx_long,
    "ltx-2": ltx.ltx2,
    "ltx-2-i2v": ltx.ltx2_image_to_video,
    "ltx-2.5": ltx.ltx25,
    "ltx-2.5-i2v": ltx.ltx25_image_to_video,
    "animatediff": video.animatediff,
    "sd1.5": image.stable_diffusion,
    "sd1.5-hires": image.stable_diffusion,
    "sd1.5-i2i": image.stable_diffusion_image_to_image,
    "sdxl": image.stable_diffusion_xl,
    "sdxl-hires": image.stable_diffusion_xl,
    "sdxl-i2i": image.stable_diffusion_xl_image_to_image,
    "sd3.5-medium": image.stable_diffusion_3,
    "sd3.5-medium-i2i": image.stable_diffusion_3_image_to_image,
    "flux.1-dev": image.flux,
    "flux.1-dev-i2i": image.flux_image_to_image,
    "qwen-image": image.qwen_image,
}
"""By the name of the row in `generator.systems` that each of them runs under."""


def build(name: str) -> Any:
    """The pipeline for a row, its decoder calmed: at random weights it shouts as no photograph does."""
    pipeline = BUILDERS[name]()
    pipeline.set_progress_bar_config(disable=True)
    decoder = pipeline.vae.decoder
    if isinstance(decoder, SamplingDecoder):
        decoder = decoder.model.decoder
    last = decoder.proj_out if name == "mochi-1" else decoder.conv_out
    for weights in last.parameters():
        weights.data *= CALM
    return pipeline
