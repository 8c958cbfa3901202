"""The videos API that Sora had, and that other servers speak: POST /v1/videos, multipart; GET; GET
content.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final

from generator.hosted.adapter import Answer, Asked, HostedApi, State, expect, text
from generator.hosted.errors import HostedError, HostedRefusalError

_REFUSALS: Final = ("moderation_blocked", "sentinel_block", "content_policy_violation", "input_moderation")


class OpenAiVideos(HostedApi):
    """Bearer key. A blocked prompt is a 400, a blocked result a failed video; both name a moderation code."""

    address: ClassVar[str] = "https://api.openai.com"

    def submit(self, asked: Asked) -> str:
        width, height = asked.size
        data = {
            "model": self.spec.source,
            "prompt": asked.request.prompt,
            "seconds": f"{asked.seconds:g}",
            "size": f"{width}x{height}",
        }
        # As files throughout: the API takes multipart even where no file is in it.
        parts: list[tuple[str, object]] = [(name, (None, value)) for name, value in data.items()]
        pictures = asked.pictures()
        parts += [("input_reference", ("reference.png", picture, "image/png")) for picture in pictures]
        reply = self.wire.post("/v1/videos", self._headers, files=parts)
        if reply.status >= 400:
            _fail(expect(reply.body, "error"))
        return str(expect(reply.body, "id"))

    def poll(self, task: str) -> Answer:
        reply = self.wire.get(f"/v1/videos/{task}", self._headers)
        if reply.status >= 400:
            _fail(expect(reply.body, "error"))
        status = expect(reply.body, "status")
        if status == "failed":
            _fail(expect(reply.body, "error"))
        if status == "completed":
            return Answer(State.DONE, 1.0, f"{self.wire.base.rstrip('/')}/v1/videos/{task}/content")
        if status not in ("queued", "in_progress"):
            raise HostedError(f"a video in the unknown state {text(status)}")
        return Answer(State.RUNNING, float(reply.body.get("progress") or 0) / 100)

    def fetch(self, location: str, target: Path) -> None:
        self.wire.download(location, target, self._headers)

    def cancel(self, task: str) -> None:
        self.wire.other("DELETE", f"/v1/videos/{task}", self._headers)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.credentials.key}"}


def _fail(error: object) -> None:
    known = error if isinstance(error, dict) else {}
    code, message = text(known.get("code", "")), text(known.get("message", error))
    raise (HostedRefusalError if code in _REFUSALS else HostedError)(f"{code or 'error'}: {message}")
