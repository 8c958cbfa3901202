"""Image systems, and the video system that was made of one. Values are those of the model cards."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from generator.request import MediaKind
from generator.systems.spec import IMAGE_IN, SecondPass, SystemSpec, Takes

_SD15: Final = SystemSpec(
    name="sd1.5",
    source="stable-diffusion-v1-5/stable-diffusion-v1-5",
    pipeline="StableDiffusionPipeline",
    output=MediaKind.IMAGE,
    width=512,
    height=512,
    size_multiple=8,
    guidance=7.5,
)

_FLUX: Final = replace(
    _SD15,
    name="flux.1-dev",
    source="black-forest-labs/FLUX.1-dev",
    pipeline="FluxPipeline",
    width=1024,
    height=1024,
    size_multiple=16,
    steps=28,
    guidance=3.5,
    max_sequence_length=512,
)

IMAGE: Final = (
    replace(
        _SD15,
        name="animatediff",
        source="",
        pipeline="AnimateDiffPipeline",
        output=MediaKind.VIDEO,
        frames=16,
        fps=8,
    ),
    _SD15,
    replace(
        _SD15,
        name="sd1.5-hires",
        width=1024,
        height=1024,
        size_multiple=16,
        second_pass=SecondPass("StableDiffusionImg2ImgPipeline"),
    ),
    replace(
        _SD15,
        name="sd1.5-i2i",
        pipeline="StableDiffusionImg2ImgPipeline",
        takes=IMAGE_IN,
    ),
    replace(
        _SD15,
        name="sdxl",
        source="stabilityai/stable-diffusion-xl-base-1.0",
        pipeline="StableDiffusionXLPipeline",
        width=1024,
        height=1024,
        guidance=5.0,
    ),
    replace(
        _SD15,
        name="sdxl-hires",
        source="stabilityai/stable-diffusion-xl-base-1.0",
        pipeline="StableDiffusionXLPipeline",
        width=2048,
        height=2048,
        size_multiple=16,
        guidance=5.0,
        second_pass=SecondPass("StableDiffusionXLImg2ImgPipeline"),
    ),
    replace(
        _SD15,
        name="sdxl-i2i",
        source="stabilityai/stable-diffusion-xl-base-1.0",
        pipeline="StableDiffusionXLImg2ImgPipeline",
        width=1024,
        height=1024,
        guidance=5.0,
        takes=IMAGE_IN,
    ),
    replace(
        _FLUX,
        name="sd3.5-medium",
        source="stabilityai/stable-diffusion-3.5-medium",
        pipeline="StableDiffusion3Pipeline",
        guidance=7.0,
        max_sequence_length=256,
    ),
    replace(
        _FLUX,
        name="sd3.5-medium-i2i",
        source="stabilityai/stable-diffusion-3.5-medium",
        pipeline="StableDiffusion3Img2ImgPipeline",
        guidance=7.0,
        max_sequence_length=256,
        takes=IMAGE_IN,
    ),
    _FLUX,
    replace(_FLUX, name="flux.1-dev-i2i", pipeline="FluxImg2ImgPipeline", takes=IMAGE_IN),
    replace(
        _FLUX,
        name="flux.2-dev",
        source="black-forest-labs/FLUX.2-dev",
        pipeline="Flux2Pipeline",
        steps=50,
        guidance=4.0,
        negative=False,
        takes={"image": Takes.OPTIONAL},
    ),
    replace(
        _FLUX,
        name="qwen-image",
        source="Qwen/Qwen-Image",
        pipeline="QwenImagePipeline",
        steps=50,
        guidance=4.0,
        guidance_name="true_cfg_scale",
    ),
)
