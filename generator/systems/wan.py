"""Wan 2.1 and 2.2, and what was built on its decoder; values are those of the model cards."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Final

from generator.request import MediaKind
from generator.systems.spec import IMAGE_IN, VIDEO_IN, Seam, SystemSpec, Takes
from generator.tiny import load_settings

EMBEDDED: Final = "assay-tiny"
"""The system whose weights ship in this package."""

_WAN: Final = SystemSpec(
    name="wan2.1-t2v-1.3b",
    source="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
    pipeline="WanPipeline",
    output=MediaKind.VIDEO,
    width=832,
    height=480,
    frames=81,
    fps=16,
    frame_step=4,
    max_sequence_length=512,
)

WAN: Final = (
    replace(
        _WAN,
        name=EMBEDDED,
        source="",
        only_size=True,
        **asdict(load_settings()),
    ),
    _WAN,
    replace(_WAN, name="wan2.1-t2v-14b", source="Wan-AI/Wan2.1-T2V-14B-Diffusers"),
    replace(
        _WAN,
        name="wan2.1-i2v-14b",
        source="Wan-AI/Wan2.1-I2V-14B-480P-Diffusers",
        pipeline="WanImageToVideoPipeline",
        takes=IMAGE_IN,
    ),
    replace(
        _WAN,
        name="wan2.1-v2v-1.3b",
        pipeline="WanVideoToVideoPipeline",
        takes=VIDEO_IN,
        frames_name=None,
    ),
    replace(
        _WAN,
        name="wan2.1-vace-1.3b",
        source="Wan-AI/Wan2.1-VACE-1.3B-diffusers",
        pipeline="WanVACEPipeline",
        takes={"video": Takes.OPTIONAL},
    ),
    replace(_WAN, name="wan2.2-t2v-a14b", source="Wan-AI/Wan2.2-T2V-A14B-Diffusers", steps=40, guidance=4.0),
    replace(
        _WAN,
        name="wan2.2-ti2v-5b",
        source="Wan-AI/Wan2.2-TI2V-5B-Diffusers",
        width=1280,
        height=704,
        frames=121,
        fps=24,
        size_multiple=32,
    ),
    replace(
        _WAN,
        name="wan2.2-i2v-a14b",
        source="Wan-AI/Wan2.2-I2V-A14B-Diffusers",
        pipeline="WanImageToVideoPipeline",
        takes=IMAGE_IN,
        steps=40,
        guidance=3.5,
    ),
    replace(
        _WAN,
        name="wan2.2-animate-14b",
        source="Wan-AI/Wan2.2-Animate-14B-Diffusers",
        pipeline="WanAnimatePipeline",
        width=1280,
        height=720,
        frames=77,
        fps=30,
        frame_step=1,
        frames_name=None,
        steps=20,
        guidance=1.0,
        takes={"image": Takes.REQUIRED, "video": Takes.REQUIRED},
        arguments={"video": ("pose_video", "face_video")},
        seam=Seam.ASSEMBLED,
    ),
    replace(
        _WAN,
        name="helios-14b",
        source="BestWishYsh/Helios-Base",
        pipeline="HeliosPipeline",
        width=640,
        height=384,
        frames=129,
        fps=24,
        seam=Seam.ASSEMBLED,
        takes={"image": Takes.OPTIONAL, "video": Takes.OPTIONAL},
    ),
    replace(
        _WAN,
        name="skyreels-v2-t2v-14b",
        source="Skywork/SkyReels-V2-T2V-14B-540P-Diffusers",
        pipeline="SkyReelsV2Pipeline",
        width=960,
        height=544,
        frames=97,
        fps=24,
        guidance=6.0,
    ),
    replace(
        _WAN,
        name="sana-video-2b",
        source="Efficient-Large-Model/SANA-Video_2B_480p_diffusers",
        pipeline="SanaVideoPipeline",
        guidance=6.0,
        size_multiple=32,
        frames_name="frames",
        max_sequence_length=300,
        options={"use_resolution_binning": False},
    ),
)
