"""Runway's API, version 2024-11-06: text_to_video and image_to_video make tasks."""

from __future__ import annotations

from typing import Any, ClassVar

from generator.hosted.adapter import Answer, Asked, HostedApi, State, expect, text
from generator.hosted.errors import HostedError, HostedRefusalError
from generator.request import MediaKind


class Runway(HostedApi):
    """Bearer key. A task that moderation stopped has failed with a code that begins with SAFETY."""

    address: ClassVar[str] = "https://api.dev.runwayml.com"

    def submit(self, asked: Asked) -> str:
        width, height = asked.size
        body: dict[str, Any] = {
            "model": self.spec.source,
            "promptText": asked.request.prompt,
            "ratio": f"{width}:{height}",
            "duration": round(asked.seconds),
        }
        if asked.request.seed is not None:
            body["seed"] = asked.request.seed % 2**32
        pictures = asked.files(MediaKind.IMAGE)
        if pictures:
            body["promptImage"] = pictures[0]
        path = "/v1/image_to_video" if pictures else "/v1/text_to_video"
        reply = self.wire.post(path, self._headers, json=body)
        if reply.status >= 400:
            raise HostedError(text(expect(reply.body, "error")))
        return str(expect(reply.body, "id"))

    def poll(self, task: str) -> Answer:
        reply = self.wire.get(f"/v1/tasks/{task}", self._headers)
        if reply.status >= 400:
            raise HostedError(text(reply.body.get("error", reply.body)))
        status = expect(reply.body, "status")
        if status == "SUCCEEDED":
            return Answer(State.DONE, 1.0, str(expect(reply.body, "output", 0)))
        if status == "FAILED":
            code, failure = text(reply.body.get("failureCode", "")), text(reply.body.get("failure", ""))
            kind = HostedRefusalError if code.startswith("SAFETY") else HostedError
            raise kind(f"{code or 'failed'}: {failure}")
        if status not in ("PENDING", "THROTTLED", "RUNNING"):
            raise HostedError(f"a task in the state {text(status)}")
        return Answer(State.RUNNING, float(reply.body.get("progress") or 0))

    def cancel(self, task: str) -> None:
        self.wire.other("DELETE", f"/v1/tasks/{task}", self._headers)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.credentials.key}", "X-Runway-Version": "2024-11-06"}
