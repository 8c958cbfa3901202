"""Seedance through ModelArk: content generation tasks with up to 9 pictures, 3 clips and 3 sounds."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from generator.hosted.adapter import Answer, Asked, HostedApi, State, expect, text
from generator.hosted.errors import HostedError, HostedRefusalError, HostedTimeoutError
from generator.request import MediaKind

_TASKS: Final = "/api/v3/contents/generations/tasks"
_ROLES: Final = {MediaKind.IMAGE: "image", MediaKind.VIDEO: "video", MediaKind.AUDIO: "audio"}


class Seedance(HostedApi):
    """Bearer key. Codes of moderation end in SensitiveContentDetected, before and after the work."""

    address: ClassVar[str] = "https://ark.ap-southeast.bytepluses.com"

    def submit(self, asked: Asked) -> str:
        content: list[dict[str, Any]] = [{"type": "text", "text": asked.request.prompt}]
        for kind, name in _ROLES.items():
            content += [
                {"type": f"{name}_url", f"{name}_url": {"url": url}, "role": f"reference_{name}"}
                for url in asked.files(kind)
            ]
        body: dict[str, Any] = {
            "model": self.spec.source,
            "content": content,
            "resolution": asked.resolution,
            "ratio": asked.ratio,
            "duration": round(asked.seconds),
            "watermark": False,
        }
        if asked.request.seed is not None:
            body["seed"] = asked.request.seed % 2**32
        reply = self.wire.post(_TASKS, self._headers, json=body)
        if reply.status >= 400:
            _fail(expect(reply.body, "error"))
        return str(expect(reply.body, "id"))

    def poll(self, task: str) -> Answer:
        reply = self.wire.get(f"{_TASKS}/{task}", self._headers)
        if reply.status >= 400:
            _fail(expect(reply.body, "error"))
        status = expect(reply.body, "status")
        if status == "succeeded":
            return Answer(State.DONE, 1.0, str(expect(reply.body, "content", "video_url")))
        if status == "failed":
            _fail(expect(reply.body, "error"))
        if status == "expired":
            raise HostedTimeoutError("the task expired at the provider")
        if status not in ("queued", "running"):
            raise HostedError(f"a task in the state {text(status)}")
        return Answer(State.RUNNING, 0.5 if status == "running" else 0.0)

    def cancel(self, task: str) -> None:
        self.wire.other("DELETE", f"{_TASKS}/{task}", self._headers)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.credentials.key}"}


def _fail(error: Any) -> None:
    code = text(error.get("code", "") if isinstance(error, dict) else "")
    message = text(error.get("message", error) if isinstance(error, dict) else error)
    refused = "SensitiveContentDetected" in code or "PolicyViolation" in code
    raise (HostedRefusalError if refused else HostedError)(f"{code}: {message}")
