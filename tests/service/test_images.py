"""`/v1/images` with the real `openai` client and the embedded system."""

import base64
import io

import httpx
import openai
import pytest
import skimage.data
from openai import OpenAI
from PIL import Image

from tests.service.server import Server

PROMPT = "a boat on a calm sea at dusk"


def picture(answer: openai.types.ImagesResponse, at: int = 0) -> bytes:
    assert answer.data is not None
    return base64.b64decode(answer.data[at].b64_json or "")


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "avif"])
def test_a_picture_is_made_and_proved(server: Server, client: OpenAI, kind: str) -> None:
    made = client.images.generate(prompt=PROMPT, output_format=kind)  # type: ignore[call-overload]
    data = picture(made)
    with Image.open(io.BytesIO(data)) as opened:
        assert (opened.format, opened.size) == (kind.upper(), (832, 480))
    assert (made.output_format, made.size) == (kind, "832x480")
    report = httpx.post(f"{server.url}/v1/verify", content=data, timeout=60).json()
    assert report["verdict"] == "made_here"
    assert report["watermark"]["id"] == made.data[0].provenance["media_id"]
    assert report["media"]["mime"] == f"image/{kind}"


def test_pictures_of_one_request_differ_and_have_addresses(server: Server, client: OpenAI) -> None:
    made = client.images.generate(prompt=PROMPT, n=2, response_format="url", extra_body={"seed": 5})
    assert made.data is not None
    addresses = [one.url or "" for one in made.data]
    assert all(address.startswith(server.url) for address in addresses)
    files = [httpx.get(address).content for address in addresses]
    assert files[0] != files[1]


def test_an_idempotency_key_makes_the_pictures_once(client: OpenAI) -> None:
    key = {"Idempotency-Key": "pictures"}
    first = client.images.generate(prompt=PROMPT, n=2, extra_headers=key)
    again = client.images.generate(prompt=PROMPT, n=2, extra_headers=key)
    assert [picture(first, at) for at in (0, 1)] == [picture(again, at) for at in (0, 1)]


def test_a_named_person_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(prompt="press photo of Angela Merkel")
    assert caught.value.code == "moderation_blocked"
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_an_edit_needs_a_model_that_takes_a_picture(client: OpenAI) -> None:
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.coffee()).save(buffer, "PNG")
    image = ("cup.png", buffer.getvalue())
    with pytest.raises(openai.BadRequestError, match="takes no picture"):
        client.images.edit(image=image, prompt="a blue cup")
    with pytest.raises(openai.BadRequestError, match="more than once"):
        client.images.edit(image=[image, image], prompt="a blue cup")
    with pytest.raises(openai.BadRequestError, match="not a field that takes a file"):
        client.images.edit(image=image, mask=image, prompt="a blue cup")


@pytest.mark.parametrize(
    "given",
    [
        {"stream": True},
        {"partial_images": 2},
        {"background": "transparent"},
        {"moderation": "low"},
        {"n": 11},
        {"size": "1x1"},
        {"output_compression": 50},
    ],
)
def test_what_would_be_ignored_is_refused(server: Server, given: dict[str, object]) -> None:
    answer = httpx.post(f"{server.url}/v1/images/generations", json={"prompt": PROMPT, **given})
    assert (answer.status_code, answer.json()["reason"]) == (400, "invalid_request")
