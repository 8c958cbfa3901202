"""The answers of the six APIs as their documentation shows them, with the one file at `/file.mp4`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.generator.hosted.provider import Provider, Say


@dataclass(frozen=True)
class Shape:
    """How one API speaks. `busy`, `refused`, `failed`, `filtered` are answers to submit and to poll."""

    system: str
    submit: str
    poll: str
    submitted: Any
    working: Any
    done: Any
    refused: Say
    filtered: Say
    failed: Say
    file: str = "GET /file.mp4"
    result: str | None = None
    cancel: str | None = None
    auth: tuple[str, str] = ("authorization", "Bearer the-key")


def play(provider: Provider, shape: Shape, film: bytes, *, polls: tuple[Say, ...] | None = None) -> None:
    """Teach `provider` the whole good case: accepted, at work, done, fetched."""
    provider.on(shape.submit, Say(shape.submitted))
    good = (Say(shape.working), Say(_placed(shape.done, provider)))
    provider.on(shape.poll, *(polls or good))
    if shape.result is not None:
        provider.on(shape.result, Say(_placed({"video": {"url": "{base}/file.mp4"}}, provider)))
    provider.on(shape.file, Say(film))


def _placed(body: Any, provider: Provider) -> Any:
    """`body` with {base} filled in."""
    if isinstance(body, dict):
        return {name: _placed(value, provider) for name, value in body.items()}
    if isinstance(body, list):
        return [_placed(value, provider) for value in body]
    return body.replace("{base}", provider.address) if isinstance(body, str) else body


SORA = Shape(
    "sora-2",
    "POST /v1/videos",
    "GET /v1/videos/video_1",
    {"id": "video_1", "object": "video", "status": "queued", "progress": 0, "model": "sora-2"},
    {"id": "video_1", "object": "video", "status": "in_progress", "progress": 40},
    {"id": "video_1", "object": "video", "status": "completed", "progress": 100},
    Say({"error": {"code": "moderation_blocked", "message": "blocked", "type": "invalid_request"}}, 400),
    Say({"id": "video_1", "status": "failed", "error": {"code": "moderation_blocked", "message": "no"}}),
    Say({"id": "video_1", "status": "failed", "error": {"code": "internal", "message": "broke"}}),
    file="GET /v1/videos/video_1/content",
    cancel="DELETE /v1/videos/video_1",
)
VEO = Shape(
    "veo-3.1",
    "POST /v1beta/models/veo-3.1-generate-preview:predictLongRunning",
    "GET /v1beta/models/veo-3.1-generate-preview/operations/o1",
    {"name": "models/veo-3.1-generate-preview/operations/o1"},
    {"name": "models/veo-3.1-generate-preview/operations/o1"},
    {
        "done": True,
        "response": {"generateVideoResponse": {"generatedSamples": [{"video": {"uri": "{base}/file.mp4"}}]}},
    },
    Say(
        {"error": {"code": 400, "message": "The prompt violates our usage guidelines", "status": "INVALID"}},
        400,
    ),
    Say(
        {
            "done": True,
            "response": {
                "generateVideoResponse": {
                    "raiMediaFilteredCount": 1,
                    "raiMediaFilteredReasons": ["Veo could not make it: people"],
                }
            },
        }
    ),
    Say({"done": True, "error": {"code": 13, "message": "internal error"}}),
    auth=("x-goog-api-key", "the-key"),
)
RUNWAY = Shape(
    "runway-gen4.5",
    "POST /v1/text_to_video",
    "GET /v1/tasks/t1",
    {"id": "t1"},
    {"id": "t1", "status": "RUNNING", "progress": 0.4},
    {"id": "t1", "status": "SUCCEEDED", "output": ["{base}/file.mp4"]},
    Say({"id": "t1", "status": "FAILED", "failure": "no", "failureCode": "SAFETY.INPUT.TEXT"}),
    Say({"id": "t1", "status": "FAILED", "failure": "no", "failureCode": "SAFETY.OUTPUT.VIDEO"}),
    Say({"id": "t1", "status": "FAILED", "failure": "no", "failureCode": "INTERNAL.BAD_OUTPUT.CODE01"}),
    cancel="DELETE /v1/tasks/t1",
)
KLING = Shape(
    "kling-v2.6",
    "POST /v1/videos/text2video",
    "GET /v1/videos/text2video/t1",
    {"code": 0, "message": "SUCCEED", "data": {"task_id": "t1", "task_status": "submitted"}},
    {"code": 0, "message": "SUCCEED", "data": {"task_id": "t1", "task_status": "processing"}},
    {
        "code": 0,
        "data": {
            "task_id": "t1",
            "task_status": "succeed",
            "task_result": {"videos": [{"id": "v", "url": "{base}/file.mp4", "duration": "5"}]},
        },
    },
    Say({"code": 1301, "message": "triggers the content security policy", "request_id": "r"}, 400),
    Say({"code": 0, "data": {"task_status": "failed", "task_status_msg": "Content policy violation"}}),
    Say({"code": 0, "data": {"task_status": "failed", "task_status_msg": "Generation timeout"}}),
)
PIKA = Shape(
    "pika-2.2",
    "POST /fal-ai/pika/v2.2/text-to-video",
    "GET /fal-ai/pika/requests/r1/status",
    {"request_id": "r1", "status": "IN_QUEUE", "status_url": "{base}/x", "response_url": "{base}/y"},
    {"request_id": "r1", "status": "IN_PROGRESS"},
    {"request_id": "r1", "status": "COMPLETED"},
    Say({"detail": [{"type": "content_policy_violation", "msg": "flagged", "loc": ["prompt"]}]}, 422),
    Say({"detail": [{"type": "content_policy_violation", "msg": "flagged", "loc": ["prompt"]}]}, 422),
    Say({"detail": "internal"}, 400),
    result="GET /fal-ai/pika/requests/r1",
    cancel="PUT /fal-ai/pika/requests/r1/cancel",
    auth=("authorization", "Key the-key"),
)
SEEDANCE = Shape(
    "seedance-2.0",
    "POST /api/v3/contents/generations/tasks",
    "GET /api/v3/contents/generations/tasks/cgt-1",
    {"id": "cgt-1"},
    {"id": "cgt-1", "status": "running"},
    {"id": "cgt-1", "status": "succeeded", "content": {"video_url": "{base}/file.mp4"}},
    Say({"error": {"code": "InputTextSensitiveContentDetected", "message": "text"}}, 400),
    Say(
        {
            "id": "cgt-1",
            "status": "failed",
            "error": {"code": "OutputVideoSensitiveContentDetected", "message": "output"},
        }
    ),
    Say({"id": "cgt-1", "status": "failed", "error": {"code": "InternalServiceError", "message": "x"}}),
    cancel="DELETE /api/v3/contents/generations/tasks/cgt-1",
)
SHAPES = (SORA, VEO, RUNWAY, KLING, PIKA, SEEDANCE)
