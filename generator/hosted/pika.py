"""Pika through fal's queue, which is how its API is published: submit, status, response."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from generator.hosted.adapter import Answer, Asked, HostedApi, State, expect, text
from generator.hosted.errors import HostedError, HostedRefusalError
from generator.request import MediaKind

_REFUSALS: Final = ("content_policy_violation",)


class Pika(HostedApi):
    """Key in `Authorization: Key`. A result that moderation stopped answers 422 with a type for it."""

    address: ClassVar[str] = "https://queue.fal.run"

    def submit(self, asked: Asked) -> str:
        body: dict[str, Any] = {
            "prompt": asked.request.prompt,
            "negative_prompt": asked.request.negative_prompt,
            "resolution": asked.resolution,
            "duration": round(asked.seconds),
        }
        if asked.request.seed is not None:
            body["seed"] = asked.request.seed % 2**31
        pictures = asked.files(MediaKind.IMAGE)
        if pictures:
            body["image_url"] = pictures[0]
        else:
            body["aspect_ratio"] = asked.ratio
        kind = "image-to-video" if pictures else "text-to-video"
        reply = self.wire.post(f"/{self.spec.source}/{kind}", self._headers, json=body)
        if reply.status >= 400:
            _fail(reply.body)
        return str(expect(reply.body, "request_id"))

    def poll(self, task: str) -> Answer:
        # Below the model's name: fal keeps requests under owner and application, without the endpoint.
        at = f"/{self._application}/requests/{task}"
        reply = self.wire.get(f"{at}/status", self._headers)
        if reply.status >= 400:
            _fail(reply.body)
        status = expect(reply.body, "status")
        if status in ("IN_QUEUE", "IN_PROGRESS"):
            return Answer(State.RUNNING, 0.5 if status == "IN_PROGRESS" else 0.0)
        if status != "COMPLETED":
            raise HostedError(f"a request in the unknown state {text(status)}")
        made = self.wire.get(at, self._headers)
        if made.status >= 400 or "video" not in made.body:
            _fail(made.body)
        return Answer(State.DONE, 1.0, str(expect(made.body, "video", "url")))

    def cancel(self, task: str) -> None:
        self.wire.other("PUT", f"/{self._application}/requests/{task}/cancel", self._headers)

    @property
    def _application(self) -> str:
        return "/".join(self.spec.source.split("/")[:2])

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Key {self.credentials.key}"}


def _fail(body: Any) -> None:
    detail = body.get("detail", body) if isinstance(body, dict) else body
    entries = detail if isinstance(detail, list) else [detail]
    kinds = [entry.get("type", "") for entry in entries if isinstance(entry, dict)]
    words = "; ".join(
        text(entry.get("msg", entry) if isinstance(entry, dict) else entry) for entry in entries
    )
    refused = any(kind in _REFUSALS for kind in kinds)
    raise (HostedRefusalError if refused else HostedError)(words)
