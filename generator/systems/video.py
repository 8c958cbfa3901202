"""Further video systems. Sizes, steps and guidance are those of the model cards."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from generator.request import MediaKind
from generator.systems.spec import IMAGE_IN, VIDEO_IN, Seam, SystemSpec, Takes

_COG: Final = SystemSpec(
    name="cogvideox-5b",
    source="zai-org/CogVideoX-5b",
    pipeline="CogVideoXPipeline",
    output=MediaKind.VIDEO,
    width=720,
    height=480,
    frames=49,
    fps=8,
    frame_step=4,
    guidance=6.0,
    max_sequence_length=226,
)

_LTX: Final = SystemSpec(
    name="ltx-video",
    source="Lightricks/LTX-Video",
    pipeline="LTXPipeline",
    output=MediaKind.VIDEO,
    width=704,
    height=512,
    frames=161,
    fps=25,
    frame_step=8,
    size_multiple=32,
    guidance=3.0,
    max_sequence_length=128,
)

_LTX2: Final = replace(
    _LTX,
    name="ltx-2",
    source="Lightricks/LTX-2",
    pipeline="LTX2Pipeline",
    width=768,
    frames=121,
    fps=24,
    steps=40,
    guidance=4.0,
    max_sequence_length=1024,
    sound=True,
)

_LTX25: Final = replace(
    _LTX2, name="ltx-2.5", source="Lightricks/LTX-2.5-Diffusers", decoder="diffusion_decoder"
)

_HUNYUAN: Final = SystemSpec(
    name="hunyuanvideo",
    source="hunyuanvideo-community/HunyuanVideo",
    pipeline="HunyuanVideoPipeline",
    output=MediaKind.VIDEO,
    width=1280,
    height=720,
    frames=129,
    fps=24,
    frame_step=4,
    guidance=6.0,
    max_sequence_length=256,
)

VIDEO: Final = (
    _COG,
    replace(_COG, name="cogvideox-2b", source="zai-org/CogVideoX-2b"),
    replace(
        _COG,
        name="cogvideox-5b-i2v",
        source="zai-org/CogVideoX-5b-I2V",
        pipeline="CogVideoXImageToVideoPipeline",
        takes=IMAGE_IN,
    ),
    replace(
        _COG,
        name="cogvideox-5b-v2v",
        pipeline="CogVideoXVideoToVideoPipeline",
        takes=VIDEO_IN,
        frames_name=None,
    ),
    replace(
        _COG,
        name="mochi-1",
        source="genmo/mochi-1-preview",
        pipeline="MochiPipeline",
        width=848,
        frames=85,
        fps=30,
        frame_step=6,
        steps=64,
        guidance=4.5,
        max_sequence_length=256,
    ),
    _HUNYUAN,
    replace(
        _HUNYUAN,
        name="hunyuanvideo-i2v",
        source="hunyuanvideo-community/HunyuanVideo-I2V",
        pipeline="HunyuanVideoImageToVideoPipeline",
        takes=IMAGE_IN,
    ),
    replace(
        _HUNYUAN,
        name="hunyuanvideo-1.5",
        source="hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p_t2v",
        pipeline="HunyuanVideo15Pipeline",
        width=832,
        height=480,
        frames=121,
        guidance_name=None,
        max_sequence_length=None,
    ),
    replace(
        _HUNYUAN,
        name="framepack-i2v",
        source="hunyuanvideo-community/HunyuanVideo-I2V",
        pipeline="HunyuanVideoFramepackPipeline",
        takes=IMAGE_IN,
        seam=Seam.ASSEMBLED,
    ),
    SystemSpec(
        name="svd-xt",
        source="stabilityai/stable-video-diffusion-img2vid-xt",
        pipeline="StableVideoDiffusionPipeline",
        output=MediaKind.VIDEO,
        width=1024,
        height=576,
        frames=25,
        fps=7,
        size_multiple=8,
        steps=25,
        guidance=3.0,
        guidance_name="max_guidance_scale",
        prompted=False,
        negative=False,
        takes=IMAGE_IN,
        options={"decode_chunk_size": 8},
    ),
    _LTX,
    replace(_LTX, name="ltx-video-i2v", pipeline="LTXImageToVideoPipeline", takes=IMAGE_IN),
    replace(
        _LTX,
        name="ltx-video-v2v",
        source="Lightricks/LTX-Video-0.9.7-dev",
        pipeline="LTXConditionPipeline",
        takes={"image": Takes.OPTIONAL, "video": Takes.OPTIONAL},
        max_sequence_length=256,
    ),
    replace(
        _LTX,
        name="ltx-video-long",
        source="Lightricks/LTX-Video-0.9.8-13B-distilled",
        pipeline="LTXI2VLongMultiPromptPipeline",
        frames=361,
        steps=8,
        guidance=1.0,
        takes={"image": Takes.OPTIONAL},
        arguments={"image": ("cond_image",)},
        seam=Seam.ASSEMBLED,
    ),
    _LTX2,
    replace(_LTX2, name="ltx-2-i2v", pipeline="LTX2ImageToVideoPipeline", takes=IMAGE_IN),
    _LTX25,
    replace(_LTX25, name="ltx-2.5-i2v", pipeline="LTX2ImageToVideoPipeline", takes=IMAGE_IN),
)
