"""The rest of the surface: remix, thumbnail, events, moderations, checks, soft bindings, metrics."""

import base64
import json
from pathlib import Path

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types import ModerationTextInputParam, Video

from provenance.manifest import SOFT_BINDING_ALG
from tests.service.server import Server

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")


def media_id(video: Video) -> str:
    return str((video.model_extra or {})["provenance"]["media_id"])


def test_a_remix_keeps_everything_but_the_prompt(client: OpenAI, video: Video) -> None:
    remix = client.videos.remix(video.id, prompt="a boat on a calm sea")
    assert remix.remixed_from_video_id == video.id
    assert (remix.size, remix.seconds, remix.prompt) == (video.size, video.seconds, "a boat on a calm sea")
    with pytest.raises(openai.BadRequestError) as caught:
        client.videos.remix(video.id, prompt="press photo of Angela Merkel")
    assert caught.value.code == "moderation_blocked"
    client.videos.delete(remix.id)


def test_a_thumbnail_still_carries_the_mark(server: Server, client: OpenAI, video: Video) -> None:
    picture = client.videos.download_content(video.id, variant="thumbnail").read()
    report = httpx.post(f"{server.url}/v1/verify", content=picture, timeout=60).json()
    assert report["media"]["mime"] == "image/webp"
    assert report["watermark"]["id"] == media_id(video)
    assert client.videos.download_content(video.id, variant="thumbnail").read() == picture


def test_progress_as_events(server: Server, client: OpenAI, video: Video) -> None:
    text = httpx.get(f"{server.url}/v1/videos/{video.id}/events").text
    name, data = text.strip().splitlines()
    assert name == "event: video.completed"
    assert json.loads(data.removeprefix("data: "))["id"] == video.id
    assert httpx.get(f"{server.url}/v1/videos/video_x/events").status_code == 404


def test_moderations(client: OpenAI) -> None:
    answer = client.moderations.create(input=["a boat on a calm sea", "press photo of Angela Merkel"])
    assert [result.flagged for result in answer.results] == [False, True]
    part: ModerationTextInputParam = {"type": "text", "text": "a boat"}
    assert client.moderations.create(input=[part]).results[0].flagged is False


def test_provenance_checks_in_the_sdks_shape(client: OpenAI, video: Video, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(client.videos.download_content(video.id).read())
    check = client.content_provenance_checks.create(file=path)
    c2pa, mark = (result.model_dump() for result in check.results)
    assert (c2pa["outcome"], c2pa["validation_state"]) == ("detected", "valid")
    assert (mark["outcome"], mark["media_id"]) == ("detected", media_id(video))


def test_a_stripped_manifest_is_found_by_its_mark(server: Server, video: Video) -> None:
    assert httpx.get(f"{server.url}/v1/services/supportedAlgorithms").json()["watermarks"] == [
        {"alg": SOFT_BINDING_ALG}
    ]
    value = base64.b64encode(bytes.fromhex(media_id(video))).decode()
    asked = {"value": value, "alg": SOFT_BINDING_ALG}
    url = f"{server.url}/v1/matches/byBinding"
    found = httpx.get(url, params=asked).json()
    assert found == httpx.post(url, json=asked).json()
    label = (video.model_extra or {})["provenance"]["manifest"]
    assert found == {"matches": [{"manifestId": label}]}
    manifest = httpx.get(f"{server.url}/v1/manifests/{label}")
    assert (manifest.status_code, manifest.headers["content-type"]) == (200, "application/c2pa")
    assert label.encode() in manifest.content
    nobody = {"value": base64.b64encode(b"000000000000").decode(), "alg": SOFT_BINDING_ALG}
    assert httpx.get(url, params=nobody).json() == {"matches": []}
    assert httpx.get(url, params={**asked, "alg": "x"}).json()["reason"] == "unknown_algorithm"
    assert httpx.get(url, params={**asked, "value": "%%"}).json()["reason"] == "bad_binding"
    assert httpx.get(f"{server.url}/v1/manifests/urn:x").status_code == 404


def test_metrics(server: Server, video: Video) -> None:
    text = httpx.get(f"{server.url}/metrics").text
    assert 'assay_jobs{status="completed"}' in text
    assert "assay_workers 1.0" in text
    # Counted by the worker, told by the API: the processes of one server count together.
    for stage in ("denoise", "decode+mark", "encode", "sign"):
        assert f'assay_stage_seconds_count{{model="assay-tiny",stage="{stage}"}}' in text


def test_a_model_says_what_may_be_asked_of_it(server: Server) -> None:
    (model,) = httpx.get(f"{server.url}/v1/models").json()["data"]
    assert (model["sizes"], model["fps"], model["references"]) == (["832x480"], 12.0, [])
    assert model["codecs"] == ["h264", "hevc", "av1", "prores"]
    assert {"mp4", "mov", "png", "avif"} <= set(model["formats"])
