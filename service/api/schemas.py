"""Bodies of requests and answers, as the `openai` SDK writes and reads them, with our additions."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

from generator import SystemSpec
from service.jobs import COMPLETED, FAILED, Job

POLL_AFTER_MS = 500


class ReferenceLink(BaseModel):
    """A reference picture as data URL: `{"image_url": "data:image/png;base64,..."}`."""

    model_config = ConfigDict(extra="forbid")
    image_url: str | None = None
    file_id: str | None = None


def _number(value: Any, info: ValidationInfo) -> Any:
    """Form fields are text; in JSON a number is a number, and `true` is none."""
    if isinstance(value, bool) or (isinstance(value, str) and not (info.context or {}).get("form")):
        raise ValueError("use a number")
    return value.strip() if isinstance(value, str) else value


def _seconds_given(value: Any) -> Any:
    """The SDK writes seconds as text, in JSON too."""
    if isinstance(value, bool):
        raise ValueError("use a number")
    return value.strip() if isinstance(value, str) else value


Status = Literal["queued", "in_progress", "completed", "failed"]
CodecName = Literal["h264", "hevc", "av1", "prores"]
Size = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{1,3}x[1-9][0-9]{1,3}$")]
Whole = Annotated[int, BeforeValidator(_number)]
Real = Annotated[float, BeforeValidator(_number)]
Seconds = Annotated[
    float,
    BeforeValidator(_seconds_given),
    Field(gt=0),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": r"^[0-9]{1,6}(\.[0-9]{1,3})?$"},
            ]
        }
    ),
]


class CharacterLink(BaseModel):
    """A character made before."""

    model_config = ConfigDict(extra="forbid")
    id: Annotated[str, StringConstraints(min_length=1, max_length=80)]


class CreateVideo(BaseModel):
    """What `POST /v1/videos` takes. An unknown field is an error: it would be ignored in silence."""

    model_config = ConfigDict(extra="forbid")
    prompt: Annotated[str, StringConstraints(min_length=1)]
    model: str | None = None
    seconds: Seconds | None = None
    size: Size | None = None
    input_reference: ReferenceLink | None = None
    negative_prompt: str = ""
    seed: Whole | None = Field(default=None, ge=0, lt=2**63)
    steps: Whole | None = Field(default=None, ge=1)
    guidance: Real | None = Field(default=None, ge=0)
    fps: Real | None = Field(default=None, gt=0)
    frames: Whole | None = Field(default=None, ge=1)
    purpose: str = "generate"
    consents: list[str] = Field(default=[], max_length=16)
    safety_identifier: str | None = Field(default=None, max_length=200)
    priority: Whole = Field(default=0, ge=-100, le=100)
    codec: CodecName | None = None
    characters: list[CharacterLink] = Field(default=[], max_length=3)


class VideoLink(BaseModel):
    """A finished video of the same tenant."""

    model_config = ConfigDict(extra="forbid")
    id: Annotated[str, StringConstraints(min_length=1, max_length=80)]


class EditVideo(BaseModel):
    """What `POST /v1/videos/edits` takes; `video` is a file or `video[id]`."""

    model_config = ConfigDict(extra="forbid")
    prompt: Annotated[str, StringConstraints(min_length=1)]
    video: VideoLink | None = None
    model: str | None = None
    negative_prompt: str | None = None
    seed: Whole | None = Field(default=None, ge=0, lt=2**63)
    steps: Whole | None = Field(default=None, ge=1)
    guidance: Real | None = Field(default=None, ge=0)
    purpose: str = "generate"
    consents: list[str] = Field(default=[], max_length=16)
    safety_identifier: str | None = Field(default=None, max_length=200)
    priority: Whole = Field(default=0, ge=-100, le=100)
    codec: CodecName | None = None


class ExtendVideo(EditVideo):
    """What `POST /v1/videos/extensions` takes; `seconds` is the length of what is added."""

    seconds: Seconds


class CreateCharacter(BaseModel):
    """What `POST /v1/videos/characters` takes besides the file `video`."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    consents: list[str] = Field(default=[], max_length=16)


class Character(BaseModel):
    """A clip kept as a reference for later requests."""

    id: str
    object: Literal["character"] = "character"
    created_at: int
    name: str


class DeletedCharacter(BaseModel):
    """The answer to a delete."""

    id: str
    object: Literal["character.deleted"] = "character.deleted"
    deleted: bool = True


class RemixVideo(BaseModel):
    """What a remix takes."""

    model_config = ConfigDict(extra="forbid")
    prompt: Annotated[str, StringConstraints(min_length=1)]


class VideoError(BaseModel):
    """Why a job failed."""

    code: str
    message: str


class Provenance(BaseModel):
    """What a finished file can be proved by."""

    media_id: str
    manifest: str | None = None
    sha256: str


class Video(BaseModel):
    """The SDK's `Video`, and `provenance` once it is completed."""

    id: str
    object: Literal["video"] = "video"
    created_at: int
    completed_at: int | None = None
    expires_at: int | None = None
    status: Status
    progress: int
    model: str
    prompt: str | None = None
    remixed_from_video_id: str | None = None
    edited_from_video_id: str | None = None
    extended_from_video_id: str | None = None
    seconds: str
    size: str
    error: VideoError | None = None
    provenance: Provenance | None = None

    @classmethod
    def of(cls, job: Job) -> Video:
        """The video as the job's row describes it now."""
        asked, failed = job.request, job.status == FAILED
        return cls(
            id=job.id,
            created_at=int(job.created_at.timestamp()),
            completed_at=_seconds(job.completed_at) if job.status == COMPLETED else None,
            expires_at=_seconds(job.expires_at),
            status=cast(Status, job.status),
            progress=job.progress,
            model=job.model,
            prompt=asked["prompt"],
            remixed_from_video_id=asked.get("remixed_from"),
            edited_from_video_id=asked.get("edited_from"),
            extended_from_video_id=asked.get("extended_from"),
            seconds=f"{round(asked['frames'] / asked['fps'], 2):g}" if asked.get("fps") else "0",
            size=f"{asked['width']}x{asked['height']}",
            error=VideoError(code=job.error_code or "failed", message=job.error_message or "")
            if failed
            else None,
            provenance=None if job.result is None else Provenance(**job.result["provenance"]),
        )


class VideoPage(BaseModel):
    """One page of a list."""

    object: Literal["list"] = "list"
    data: list[Video]
    has_more: bool
    first_id: str | None
    last_id: str | None


class DeletedVideo(BaseModel):
    """The answer to a delete."""

    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: bool = True


class Model(BaseModel):
    """The SDK's `Model`, and what may be asked of it: sizes (empty: any that the steps allow), lengths in
    seconds (empty: any), formats, codecs, kinds of references."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "assay"
    size: str
    sizes: list[str]
    size_step: int
    seconds: float
    lengths: list[float]
    fps: float
    formats: list[str]
    codecs: list[str]
    references: list[str]

    @classmethod
    def of(cls, spec: SystemSpec) -> Model:
        """What the table of systems says of one."""
        size = f"{spec.width}x{spec.height}"
        sizes = [f"{width}x{height}" for width, height in spec.sizes]
        return cls(
            id=spec.name,
            size=size,
            sizes=[size] if spec.only_size else sizes,
            size_step=spec.size_multiple,
            seconds=round(spec.frames / spec.fps, 2) if spec.fps else 0.0,
            lengths=list(spec.lengths),
            fps=spec.fps,
            formats=[str(one) for one in spec.formats],
            codecs=[str(codec) for codec in spec.codecs],
            references=sorted(str(kind) for kind in spec.takes),
        )


class ModelList(BaseModel):
    """All models."""

    object: Literal["list"] = "list"
    data: list[Model]


def _seconds(moment: Any) -> int | None:
    return None if moment is None else int(moment.timestamp())
