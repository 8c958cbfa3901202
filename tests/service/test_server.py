"""The whole service over loopback: the real `openai` client, real processes, the embedded system, small."""

import base64
import io
import time
from pathlib import Path

import httpx
import openai
import pytest
import skimage.data
from openai import OpenAI
from openai.types import Video
from PIL import Image

from tests.service.conftest import PROMPT
from tests.service.server import Server
from watermark import MediaId, open_media

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")


def png(picture: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")  # type: ignore[arg-type]
    return buffer.getvalue()


def linked(url: str) -> dict[str, object]:
    return {"prompt": "x", "input_reference": {"image_url": url}}


def problem(caught: pytest.ExceptionInfo[openai.APIStatusError]) -> dict[str, object]:
    body = caught.value.response.json()
    assert isinstance(body, dict)
    assert body["status"] == caught.value.status_code
    assert caught.value.response.headers["content-type"] == "application/problem+json"
    assert body["error"]["message"] == body["detail"]
    return body


def test_a_clip_is_made_and_proved(server: Server, client: OpenAI, video: Video, tmp_path: Path) -> None:
    assert (video.model, video.size, video.progress, video.prompt) == ("assay-tiny", "832x480", 100, PROMPT)
    data = client.videos.download_content(video.id).read()
    (tmp_path / "clip.mp4").write_bytes(data)
    media = open_media(tmp_path / "clip.mp4")
    assert (media.width, media.height) == (832, 480)
    report = httpx.post(f"{server.url}/v1/verify", files={"file": data}, timeout=60).json()
    provenance = video.model_extra["provenance"]  # type: ignore[index]
    assert report["verdict"] == "made_here"
    assert report["watermark"]["id"] == provenance["media_id"] == MediaId.parse(provenance["media_id"]).hex
    assert report["c2pa"]["label"] == provenance["manifest"]
    assert report["registry"]["tenant"] == "default"


def test_a_raw_body_is_verified_like_a_form(server: Server, client: OpenAI, video: Video) -> None:
    data = client.videos.download_content(video.id).read()
    report = httpx.post(f"{server.url}/v1/verify", content=data, timeout=60).json()
    assert report["verdict"] == "made_here"


def test_parts_of_the_file(server: Server, client: OpenAI, video: Video) -> None:
    url = f"{server.url}/v1/videos/{video.id}/content"
    whole = httpx.get(url)
    part = httpx.get(url, headers={"range": "bytes=4-11"})
    assert (part.status_code, part.content) == (206, whole.content[4:12])
    assert httpx.get(url, headers={"range": "bytes=999999999-"}).status_code == 416
    assert httpx.get(url, params={"variant": "hologram"}).json()["reason"] == "unknown_variant"


def test_lists_and_pages(client: OpenAI, video: Video) -> None:
    listed = list(client.videos.list(limit=1))
    assert video.id in [one.id for one in listed]
    assert len({one.id for one in listed}) == len(listed)


def test_a_named_person_is_refused_and_not_retried(server: Server) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        server.openai(retries=2).videos.create(prompt="press photo of Angela Merkel")
    body = problem(caught)
    assert caught.value.code == "moderation_blocked"
    assert body["stage"] == "guard"
    assert str(body["reason"]).startswith("PERSON.")
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert "Merkel" not in server.log


def test_a_face_without_consent_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.videos.create(prompt="she smiles", input_reference=("face.png", png(skimage.data.astronaut())))
    assert problem(caught)["reason"] == "PERSON.NO_CONSENT"


def test_references_arrive_in_every_way_the_client_sends_them(client: OpenAI) -> None:
    """The embedded system takes no reference: getting as far as its refusal means that it was read."""
    data = png(skimage.data.coffee())
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    link = {"input_reference": {"image_url": url}}
    assert len(url) < 2 * 2**20
    json = {"Content-Type": "application/json"}
    for arguments in (
        {"input_reference": ("cup.png", data)},
        {"extra_body": link},
        {"extra_body": link, "extra_headers": json},
    ):
        with pytest.raises(openai.BadRequestError, match="takes no image") as caught:
            client.videos.create(prompt="a cup", **arguments)
        assert problem(caught)["reason"] == "unsupported_by_model"


@pytest.mark.parametrize(
    ("body", "reason", "param"),
    [
        ({"prompt": ""}, "invalid_request", "prompt"),
        ({"prompt": "x", "size": "1x1"}, "invalid_request", "size"),
        ({"prompt": "x", "size": "257x480"}, "invalid_request", None),
        ({"prompt": "x", "seconds": "soon"}, "invalid_request", "seconds"),
        ({"prompt": "x", "seconds": "1e9"}, "invalid_request", None),
        ({"prompt": "x", "colour": "red"}, "invalid_request", "colour"),
        ({"prompt": "x", "guidance": False}, "invalid_request", "guidance"),
        ({"prompt": "x", "seed": "4"}, "invalid_request", "seed"),
        ({"prompt": "x", "codec": "vp9"}, "invalid_request", "codec"),
        ({"prompt": "x", "size": "1280x720"}, "invalid_request", None),
        ({"prompt": "x", "model": "sora-2"}, "model_not_found", "model"),
        (linked("http://127.0.0.1/a.png"), "unsupported_reference", "input_reference"),
        (linked("data:image/png;base64,%%"), "bad_data_url", "input_reference"),
        (linked("data:image/png;base64,"), "empty_file", None),
        (linked("data:image/png;base64,AAAA"), "not_media", None),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_named(server: Server, body: object, reason: str, param: str | None) -> None:
    answer = httpx.post(f"{server.url}/v1/videos", json=body, timeout=60)
    assert 400 <= answer.status_code < 500
    assert (answer.json()["reason"], answer.json()["error"]["param"]) == (reason, param)


@pytest.mark.parametrize(
    ("content", "kind", "reason"),
    [
        (b"{", "application/json", "bad_json"),
        (b"[]", "application/json", "bad_json"),
        (b"prompt", "text/plain", "unsupported_type"),
        (b"prompt=x&prompt[a]=y", "application/x-www-form-urlencoded", "bad_form"),
        (b"prompt[a][b][c][d]=y", "application/x-www-form-urlencoded", "bad_form"),
        (b"--x\r\nrubbish", "multipart/form-data", "bad_form"),
        (b"--x\r\nrubbish", "multipart/form-data; boundary=x", "invalid_request"),
    ],
)
def test_bodies_that_cannot_be_read(server: Server, content: bytes, kind: str, reason: str) -> None:
    answer = httpx.post(f"{server.url}/v1/videos", content=content, headers={"content-type": kind})
    assert answer.status_code in (400, 415)
    assert answer.json()["reason"] == reason


def test_the_same_idempotency_key_makes_one_job(client: OpenAI) -> None:
    key = {"Idempotency-Key": "one"}
    first = client.videos.create(prompt=PROMPT, extra_headers=key)
    again = client.videos.create(prompt=PROMPT, extra_headers=key)
    assert first.id == again.id
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        client.videos.create(prompt="a boat", extra_headers=key)
    assert problem(caught)["reason"] == "idempotency_key_reused"
    client.videos.delete(first.id)


def test_the_clients_own_retry_makes_one_job(server: Server, client: OpenAI) -> None:
    first = client.videos.create(prompt="a boat on a calm sea")
    again = httpx.post(
        f"{server.url}/v1/videos",
        data={"prompt": "a boat on a calm sea"},
        headers={"x-stainless-retry-count": "1"},
    )
    assert again.json()["id"] == first.id
    client.videos.delete(first.id)


def test_a_running_job_is_stopped_when_it_is_deleted(client: OpenAI) -> None:
    long = client.videos.create(prompt=PROMPT, extra_body={"steps": 400})
    while client.videos.retrieve(long.id).status == "queued":
        time.sleep(0.1)
    assert client.videos.delete(long.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve(long.id)
    started = time.monotonic()
    after = client.videos.create_and_poll(prompt=PROMPT, poll_interval_ms=200)
    assert after.status == "completed"
    assert time.monotonic() - started < 60
    assert client.videos.delete(after.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.videos.download_content(after.id)


def test_unfinished_content_is_a_conflict(client: OpenAI) -> None:
    waiting = client.videos.create(prompt=PROMPT)
    with pytest.raises(openai.ConflictError) as caught:
        client.videos.download_content(waiting.id)
    assert problem(caught)["reason"] == "not_completed"
    client.videos.delete(waiting.id)


def test_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["assay-tiny"]
    assert client.models.retrieve("assay-tiny").owned_by == "assay"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("sora-2")


def test_health_and_headers(server: Server) -> None:
    assert httpx.get(f"{server.url}/healthz").json() == {"status": "ok"}
    stages = httpx.get(f"{server.url}/readyz").json()["stages"]
    assert {name: stage["live"] for name, stage in stages.items()} == dict.fromkeys(stages, True)
    page = httpx.get(f"{server.url}/", headers={"x-request-id": "mine-1"})
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["x-request-id"] == "mine-1"
    assert (
        httpx.get(f"{server.url}/", headers={"x-request-id": "<b>"})
        .headers["x-request-id"]
        .startswith("req_")
    )
    assert httpx.get(f"{server.url}/nothing").json()["reason"] == "not_found"
    assert httpx.put(f"{server.url}/v1/videos").json()["reason"] == "method_not_allowed"
    assert set(httpx.get(f"{server.url}/openapi.json").json()["paths"]) >= {"/v1/videos", "/v1/verify"}


def test_the_page_loads_nothing_from_elsewhere(server: Server) -> None:
    page = httpx.get(f"{server.url}/").text
    for name in ("style.css", "verify.js", "strings.js"):
        asset = httpx.get(f"{server.url}/web/{name}")
        assert asset.status_code == 200
        page += asset.text
    assert "http://" not in page
    assert "https://" not in page
    assert httpx.get(f"{server.url}/web/..%2fsettings.py").status_code == 404
