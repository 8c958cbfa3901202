"""The systems that Assay runs, one row each: where the weights live and how the pipeline likes to be called.

A row says nothing about the mark but the seam: where the last float picture is whole. Everything else about
marking, checking and signing is the same for every row. Sizes, steps and guidance are the defaults that the
model cards name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Final

from generator.errors import LoadError, RequestError
from generator.request import MAX_FRAMES, MediaFormat, MediaKind, Request
from generator.tiny import load_settings

EMBEDDED: Final = "assay-tiny"
"""The system whose weights ship in this package."""


class Seam(StrEnum):
    """Where the mark goes in."""

    DECODE = "decode"
    """Inside `vae.decode`: one call gives the whole result, or whole frames of it."""
    ASSEMBLED = "assembled"
    """In the post-processor, once: what decode returns is tiled, blended or fed back before it is a
    result."""


class Takes(StrEnum):
    """Whether a system needs, allows or refuses a reference of a kind."""

    REQUIRED = "required"
    OPTIONAL = "optional"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSpec:
    """One row. `only_size`: width and height are the only ones it makes.

    `frames = frame_step * k + 1` pictures, width and height multiples of `size_multiple` pixels.

    `takes` maps the pipeline's argument (`image`, `video`) to whether it must be there; `options` are further
    fixed keyword arguments of the call; a `None` name means that the pipeline has no such argument.
    """

    name: str
    source: str
    pipeline: str
    output: MediaKind
    width: int
    height: int
    frames: int = 1
    fps: float = 0.0
    frame_step: int = 1
    size_multiple: int = 16
    only_size: bool = False
    steps: int = 50
    guidance: float = 5.0
    guidance_name: str | None = "guidance_scale"
    frames_name: str | None = "num_frames"
    prompted: bool = True
    negative: bool = True
    max_sequence_length: int | None = None
    takes: Mapping[str, Takes] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    seam: Seam = Seam.DECODE

    @property
    def formats(self) -> tuple[MediaFormat, ...]:
        """The containers that this system's output goes into, the default first."""
        images = (MediaFormat.PNG, MediaFormat.JPEG, MediaFormat.WEBP)
        return images if self.output is MediaKind.IMAGE else (MediaFormat.MP4,)

    def complete(self, request: Request) -> Request:
        """`request` with every None but the seed filled in from this row.

        Raises `RequestError` when the system cannot do what is asked; nothing is rounded in silence.
        """
        wanted = request.format or self.formats[0]
        if wanted not in self.formats:
            raise RequestError(f"format: {self.name} makes {', '.join(self.formats)}, not {wanted}")
        if self.output is MediaKind.IMAGE and request.frames not in (None, 1):
            raise RequestError(f"frames: {self.name} makes one picture, not {request.frames}")
        whole = replace(
            request,
            width=request.width or self.width,
            height=request.height or self.height,
            frames=request.frames or self.frames,
            fps=request.fps or self.fps or None,
            steps=request.steps or self.steps,
            guidance=self.guidance if request.guidance is None else request.guidance,
            format=wanted,
        )
        self._check(whole)
        return whole

    def _check(self, request: Request) -> None:
        if self.only_size and (request.width, request.height) != (self.width, self.height):
            asked = f"{request.width}x{request.height}"
            raise RequestError(f"size: {self.name} makes {self.width}x{self.height} only, not {asked}")
        for side in ("width", "height"):
            self._check_side(side, getattr(request, side))
        self._check_frames(request.frames or 1)
        if request.prompt and not self.prompted:
            raise RequestError(f"prompt: {self.name} reads none; leave it empty and give a reference")
        if request.negative_prompt and not self.negative:
            raise RequestError(f"negative_prompt: {self.name} has none; leave it empty")

    def _check_side(self, side: str, pixels: int) -> None:
        if pixels % self.size_multiple:
            near = max(1, round(pixels / self.size_multiple)) * self.size_multiple
            raise RequestError(
                f"{side}: {self.name} needs a multiple of {self.size_multiple}, not {pixels}; {near} would do"
            )

    def _check_frames(self, frames: int) -> None:
        if (frames - 1) % self.frame_step:
            near = min(MAX_FRAMES, round((frames - 1) / self.frame_step) * self.frame_step + 1)
            raise RequestError(
                f"frames: {self.name} needs {self.frame_step}k+1, not {frames}; {near} would do"
            )

    def check_references(self, request: Request) -> None:
        """Raise `RequestError` unless the system takes the references given.

        Apart from `complete`, because the guard answers first: a picture that must not be used at all is
        refused for that reason, whether or not the system would have taken it.
        """
        for kind in (MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.AUDIO):
            given = sum(reference.kind is kind for reference in request.references)
            takes = self.takes.get(kind)
            if given and takes is None:
                raise RequestError(f"references: {self.name} takes no {kind}")
            if takes is Takes.REQUIRED and not given:
                raise RequestError(f"references: {self.name} needs one {kind}")
            if given > 1:
                raise RequestError(f"references: {self.name} takes one {kind}, not {given}")


_IMAGE_IN: Final = {"image": Takes.REQUIRED}
_VIDEO_IN: Final = {"video": Takes.REQUIRED}
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

SYSTEMS: Final[tuple[SystemSpec, ...]] = (
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
        takes=_IMAGE_IN,
    ),
    replace(
        _WAN,
        name="wan2.1-v2v-1.3b",
        pipeline="WanVideoToVideoPipeline",
        takes=_VIDEO_IN,
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
        name="skyreels-v2-t2v-14b",
        source="Skywork/SkyReels-V2-T2V-14B-540P-Diffusers",
        pipeline="SkyReelsV2Pipeline",
        width=960,
        height=544,
        frames=97,
        fps=24,
        guidance=6.0,
    ),
    _COG,
    replace(_COG, name="cogvideox-2b", source="zai-org/CogVideoX-2b"),
    replace(
        _COG,
        name="cogvideox-5b-i2v",
        source="zai-org/CogVideoX-5b-I2V",
        pipeline="CogVideoXImageToVideoPipeline",
        takes=_IMAGE_IN,
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
        takes=_IMAGE_IN,
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
        takes=_IMAGE_IN,
        options={"decode_chunk_size": 8},
    ),
    _LTX,
    replace(_LTX, name="ltx-video-i2v", pipeline="LTXImageToVideoPipeline", takes=_IMAGE_IN),
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
        name="sd1.5-i2i",
        pipeline="StableDiffusionImg2ImgPipeline",
        takes=_IMAGE_IN,
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
        _FLUX,
        name="sd3.5-medium",
        source="stabilityai/stable-diffusion-3.5-medium",
        pipeline="StableDiffusion3Pipeline",
        guidance=7.0,
        max_sequence_length=256,
    ),
    _FLUX,
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


def system_named(name: str) -> SystemSpec:
    """The row of this name. Raises `LoadError`, listing the names, when there is none."""
    for spec in SYSTEMS:
        if spec.name == name:
            return spec
    raise LoadError(
        f"system {name!r} is not known; give a folder, or one of: {', '.join(s.name for s in SYSTEMS)}"
    )


def system_for_pipeline(pipeline: str) -> SystemSpec:
    """The first row that runs this diffusers class. Raises `LoadError` when there is none."""
    for spec in SYSTEMS:
        if spec.pipeline == pipeline and spec.name != EMBEDDED:
            return spec
    raise LoadError(
        f"pipeline class {pipeline} has no row in generator/systems.py, so its seam for the mark is not known"
    )
