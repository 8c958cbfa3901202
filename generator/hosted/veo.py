"""Google Veo through the Gemini API: predictLongRunning, an operation to poll, a file to download."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, ClassVar

from generator.hosted.adapter import Answer, Asked, HostedApi, State, expect, text
from generator.hosted.errors import HostedError, HostedRefusalError

_INVALID_ARGUMENT = 3  # google.rpc.Code: what refused prompts come back as


class Veo(HostedApi):
    """Key in `x-goog-api-key`. What moderation takes away is counted in `raiMediaFilteredCount`."""

    address: ClassVar[str] = "https://generativelanguage.googleapis.com"

    def submit(self, asked: Asked) -> str:
        instance: dict[str, Any] = {"prompt": asked.request.prompt}
        for picture in asked.pictures():
            encoded = base64.b64encode(picture).decode()
            instance["image"] = {"bytesBase64Encoded": encoded, "mimeType": "image/png"}
        parameters: dict[str, Any] = {
            "aspectRatio": asked.ratio,
            "durationSeconds": round(asked.seconds),
            "resolution": asked.resolution,
        }
        if asked.request.negative_prompt:
            parameters["negativePrompt"] = asked.request.negative_prompt
        reply = self.wire.post(
            f"/v1beta/models/{self.spec.source}:predictLongRunning",
            self._headers,
            json={"instances": [instance], "parameters": parameters},
        )
        if reply.status >= 400:
            _fail(expect(reply.body, "error"))
        return str(expect(reply.body, "name"))

    def poll(self, task: str) -> Answer:
        reply = self.wire.get(f"/v1beta/{task}", self._headers)
        if reply.status >= 400 or "error" in reply.body:
            _fail(expect(reply.body, "error"))
        if not reply.body.get("done"):
            return Answer(State.RUNNING)
        made = expect(reply.body, "response", "generateVideoResponse")
        if made.get("raiMediaFilteredCount") and not made.get("generatedSamples"):
            reasons = "; ".join(map(text, made.get("raiMediaFilteredReasons", ())))
            raise HostedRefusalError(f"the result was filtered: {reasons}")
        return Answer(State.DONE, 1.0, str(expect(made, "generatedSamples", 0, "video", "uri")))

    def fetch(self, location: str, target: Path) -> None:
        self.wire.download(location, target, self._headers)

    @property
    def _headers(self) -> dict[str, str]:
        return {"x-goog-api-key": self.credentials.key}


def _fail(error: Any) -> None:
    message = text(error.get("message", error) if isinstance(error, dict) else error)
    code = error.get("code") if isinstance(error, dict) else None
    words = message.lower()
    about_content = any(word in words for word in ("usage guidelines", "responsible ai", "safety", "violat"))
    refused = code in (_INVALID_ARGUMENT, 400) and about_content
    raise (HostedRefusalError if refused else HostedError)(message)
