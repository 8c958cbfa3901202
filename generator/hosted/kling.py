"""Kling's API: text2video and image2video make tasks; every request carries a token that we sign."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any, ClassVar, Final

from generator.hosted.adapter import Answer, Asked, HostedApi, State, expect, text
from generator.hosted.errors import HostedError, HostedRefusalError

_REFUSED: Final = 1301  # service code: the request triggers the content policy of the platform
_VALID_SECONDS: Final = 1_800
_EARLY_SECONDS: Final = 5
_PRO_LINES: Final = 1_080


class Kling(HostedApi):
    """Access and secret key sign a JSON web token (RFC 7519, HS256) that is valid for half an hour."""

    address: ClassVar[str] = "https://api-singapore.klingai.com"

    def submit(self, asked: Asked) -> str:
        body: dict[str, Any] = {
            "model_name": self.spec.source,
            "prompt": asked.request.prompt,
            "duration": f"{asked.seconds:g}",
            "mode": "pro" if min(asked.size) >= _PRO_LINES else "std",
            "aspect_ratio": asked.ratio,
        }
        if asked.request.negative_prompt:
            body["negative_prompt"] = asked.request.negative_prompt
        pictures = asked.pictures()
        if pictures:
            body["image"] = base64.b64encode(pictures[0]).decode()  # bare: the API takes no data URL
        kind = "image2video" if pictures else "text2video"
        reply = self.wire.post(f"/v1/videos/{kind}", self._headers, json=body)
        return f"{kind}/{expect(_data(reply.body), 'task_id')}"

    def poll(self, task: str) -> Answer:
        reply = self.wire.get(f"/v1/videos/{task}", self._headers)
        data = _data(reply.body)
        status = expect(data, "task_status")
        if status == "succeed":
            return Answer(State.DONE, 1.0, str(expect(data, "task_result", "videos", 0, "url")))
        if status == "failed":
            _fail(text(data.get("task_status_msg", "")))
        if status not in ("submitted", "processing"):
            raise HostedError(f"a task in the unknown state {text(status)}")
        return Answer(State.RUNNING, 0.5 if status == "processing" else 0.0)

    @property
    def _headers(self) -> dict[str, str]:
        now = int(self.now())
        claims = {
            "iss": self.credentials.key,
            "exp": now + _VALID_SECONDS,
            "nbf": now - _EARLY_SECONDS,
        }
        return {"Authorization": f"Bearer {web_token(claims, self.credentials.secret)}"}


def web_token(claims: dict[str, Any], secret: str) -> str:
    """A JSON web token, HS256."""
    head = _part(json.dumps({"alg": "HS256", "typ": "JWT"}, separators=(",", ":")).encode())
    signed = f"{head}.{_part(json.dumps(claims, separators=(',', ':')).encode())}"
    return f"{signed}.{_part(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())}"


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _data(body: Any) -> Any:
    code = expect(body, "code")
    if code == _REFUSED:
        raise HostedRefusalError(text(body.get("message", "")))
    if code != 0:
        raise HostedError(f"{code}: {text(body.get('message', ''))}")
    return expect(body, "data")


def _fail(message: str) -> None:
    words = message.lower()
    refused = any(word in words for word in ("policy", "sensitive", "risk", "violat", "safety"))
    raise (HostedRefusalError if refused else HostedError)(message or "the task failed")
