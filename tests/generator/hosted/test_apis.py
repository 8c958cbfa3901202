"""Each API against a server that answers as its documentation says: good, refused, failed, busy, slow."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generator import MediaKind, Reference, Request
from generator.errors import LoadError
from generator.hosted import (
    Asked,
    Credentials,
    HostedApi,
    HostedBusyError,
    HostedCredentialsError,
    HostedError,
    HostedRefusalError,
    HostedTimeoutError,
    State,
    WireLimits,
    api_for,
)
from generator.references import ReferenceFrames
from generator.systems import HOSTED, system_named
from tests.generator.hosted.provider import Provider, Say
from tests.generator.hosted.shapes import KLING, PIKA, RUNWAY, SEEDANCE, SHAPES, SORA, VEO, Shape, play

EVERY = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.system)
LIMITS = WireLimits(timeout=10.0, attempts=3, first_wait=1.0, longest_wait=9.0, max_bytes=1 << 20)
NOW = 1_800_000_000.0


@pytest.fixture
def slept() -> list[float]:
    return []


def api(shape: Shape, provider: Provider, slept: list[float]) -> HostedApi:
    return api_for(
        system_named(shape.system),
        Credentials("the-key", "the-secret"),
        sleep=slept.append,
        now=lambda: NOW,
        base=provider.address,
        limits=LIMITS,
    )


def asked(shape: Shape, *kinds: MediaKind, file: Path | None = None, prompt: str = "a boat") -> Asked:
    picture = np.full((90, 160, 3), 128, np.uint8)
    references = tuple(
        ReferenceFrames(Reference(path=file or Path("x"), kind=kind), f"{kind}/mp4", "", (picture,))
        for kind in kinds
    )
    request = system_named(shape.system).complete(Request(prompt=prompt, seed=7))
    return Asked(request, references)


@EVERY
def test_a_clip_is_submitted_polled_and_fetched(
    shape: Shape, provider: Provider, slept: list[float], tmp_path: Path
) -> None:
    play(provider, shape, b"the film")
    speaks = api(shape, provider, slept)
    task = speaks.submit(asked(shape))
    first, second = speaks.poll(task), speaks.poll(task)
    assert (first.state, second.state) == (State.RUNNING, State.DONE)
    speaks.fetch(second.location, tmp_path / "film")
    assert (tmp_path / "film").read_bytes() == b"the film"
    name, value = shape.auth
    calls = [sent for sent in provider.sent if sent.path != "/file.mp4"]
    assert all(sent.headers[name].startswith(value) for sent in calls) or shape is KLING
    assert b"a boat" in provider.asked(shape.submit)[0].body
    assert slept == []


@EVERY
def test_a_refused_prompt_is_told_apart_from_a_failure(
    shape: Shape, provider: Provider, slept: list[float]
) -> None:
    speaks = api(shape, provider, slept)
    play(provider, shape, b"")
    provider.on(shape.submit if shape.refused.status >= 400 else shape.poll, shape.refused)
    with pytest.raises(HostedRefusalError):
        speaks.poll(speaks.submit(asked(shape)))


@EVERY
def test_a_result_that_moderation_took_away_is_a_refusal(
    shape: Shape, provider: Provider, slept: list[float]
) -> None:
    play(provider, shape, b"", polls=(shape.filtered,))
    speaks = api(shape, provider, slept)
    with pytest.raises(HostedRefusalError):
        speaks.poll(speaks.submit(asked(shape)))


@EVERY
def test_a_task_that_failed_says_so_and_is_no_refusal(
    shape: Shape, provider: Provider, slept: list[float]
) -> None:
    play(provider, shape, b"", polls=(shape.failed,))
    speaks = api(shape, provider, slept)
    with pytest.raises(HostedError) as caught:
        speaks.poll(speaks.submit(asked(shape)))
    assert type(caught.value) is HostedError


@EVERY
def test_a_state_that_nobody_documented_is_an_error(
    shape: Shape, provider: Provider, slept: list[float]
) -> None:
    play(provider, shape, b"", polls=(Say({"status": "dreaming", "code": 0, "done": True}),))
    speaks = api(shape, provider, slept)
    with pytest.raises(HostedError):
        speaks.poll(speaks.submit(asked(shape)))


@EVERY
def test_a_rate_limit_is_waited_for_as_told_and_then_given_up(
    shape: Shape, provider: Provider, slept: list[float]
) -> None:
    busy = Say({"code": 1303, "error": {"message": "slow down", "code": 429}}, 429, {"retry-after": "3"})
    provider.on(shape.submit, busy, Say(shape.submitted))
    speaks = api(shape, provider, slept)
    assert speaks.submit(asked(shape))
    assert slept == [3.0, 1.0]
    provider.on(shape.submit, busy)
    with pytest.raises(HostedBusyError, match="slow down"):
        speaks.submit(asked(shape))


@EVERY
def test_a_submit_that_broke_on_the_way_is_not_repeated(
    shape: Shape, provider: Provider, slept: list[float]
) -> None:
    provider.on(shape.submit, Say({}, 500))
    with pytest.raises(HostedError, match="500"):
        api(shape, provider, slept).submit(asked(shape))
    assert len(provider.asked(shape.submit)) == 1


@EVERY
def test_a_poll_is_repeated(shape: Shape, provider: Provider, slept: list[float]) -> None:
    play(provider, shape, b"", polls=(Say({}, 502), Say(shape.working)))
    speaks = api(shape, provider, slept)
    assert speaks.poll(speaks.submit(asked(shape))).state is State.RUNNING


@EVERY
def test_a_wrong_key_is_told_apart(shape: Shape, provider: Provider, slept: list[float]) -> None:
    provider.on(shape.submit, Say({"error": {"message": "who are you"}}, 401))
    with pytest.raises(HostedCredentialsError, match="who are you"):
        api(shape, provider, slept).submit(asked(shape))


@EVERY
@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b"null"])
def test_an_answer_without_what_was_asked_is_an_error(
    shape: Shape, provider: Provider, slept: list[float], body: bytes
) -> None:
    provider.on(shape.submit, Say(body))
    with pytest.raises(HostedError):
        api(shape, provider, slept).submit(asked(shape))


@pytest.mark.parametrize("shape", [s for s in SHAPES if s.cancel], ids=lambda shape: shape.system)
def test_a_task_is_cancelled_where_the_provider_can(
    shape: Shape, provider: Provider, slept: list[float]
) -> None:
    play(provider, shape, b"")
    speaks = api(shape, provider, slept)
    speaks.cancel(speaks.submit(asked(shape)))
    assert provider.asked(shape.cancel or "")


def test_what_takes_too_long_is_a_timeout_and_a_submit_is_not_repeated(
    provider: Provider, slept: list[float], tmp_path: Path
) -> None:
    hasty = api(RUNWAY, provider, slept)
    hasty = replace(hasty, wire=replace(hasty.wire, limits=replace(LIMITS, timeout=0.4)))
    provider.on(RUNWAY.submit, Say(RUNWAY.submitted, delay=1.2))
    provider.on("GET /slow", Say(b"", delay=1.2))
    with pytest.raises(HostedTimeoutError, match="did not answer"):
        hasty.submit(asked(RUNWAY))
    assert len(provider.asked(RUNWAY.submit)) == 1
    with pytest.raises(HostedTimeoutError, match="did not arrive"):
        hasty.fetch(f"{provider.address}/slow", tmp_path / "film")


def test_nobody_there_is_a_timeout(slept: list[float]) -> None:
    nobody = api(RUNWAY, Provider("http://127.0.0.1:9"), slept)
    with pytest.raises(HostedTimeoutError, match="cannot be reached"):
        nobody.submit(asked(RUNWAY))
    assert slept == [1.0, 2.0]


@pytest.mark.parametrize("shape", [VEO, RUNWAY, KLING, PIKA, SEEDANCE], ids=lambda shape: shape.system)
def test_a_picture_is_sent_as_the_guard_saw_it(shape: Shape, provider: Provider, slept: list[float]) -> None:
    for route in ("text_to_video", "text2video", "text-to-video"):
        with_picture = {"text_to_video": "image_to_video"}.get(route, route.replace("text", "image"))
        provider.on(shape.submit.replace(route, with_picture), Say(shape.submitted))
    api(shape, provider, slept).submit(asked(shape, MediaKind.IMAGE))
    body = provider.sent[0].body
    png = b"iVBORw0KGgo"  # base64 of the signature of a PNG
    assert png in body


def test_sora_gets_multipart_with_the_picture_as_file(provider: Provider, slept: list[float]) -> None:
    play(provider, SORA, b"")
    api(SORA, provider, slept).submit(asked(SORA, MediaKind.IMAGE))
    sent = provider.sent[0]
    assert sent.headers["content-type"].startswith("multipart/form-data")
    for part in (b'name="seconds"\r\n\r\n4', b'name="size"\r\n\r\n1280x720', b'name="input_reference"'):
        assert part in sent.body


def test_seedance_gets_every_kind_of_reference(
    provider: Provider, slept: list[float], tmp_path: Path
) -> None:
    file = tmp_path / "given.bin"
    file.write_bytes(b"given")
    play(provider, SEEDANCE, b"")
    kinds = [MediaKind.IMAGE] * 9 + [MediaKind.VIDEO] * 3 + [MediaKind.AUDIO] * 3
    api(SEEDANCE, provider, slept).submit(asked(SEEDANCE, *kinds, file=file))
    content = provider.sent[0].json["content"]
    roles = [part.get("role") for part in content]
    assert [roles.count(f"reference_{kind}") for kind in ("image", "video", "audio")] == [9, 3, 3]
    assert content[-1]["audio_url"]["url"] == f"data:audio/mp4;base64,{base64.b64encode(b'given').decode()}"


def test_kling_signs_its_token(provider: Provider, slept: list[float]) -> None:
    play(provider, KLING, b"")
    api(KLING, provider, slept).submit(asked(KLING))
    head, claims, signature = provider.sent[0].headers["authorization"].removeprefix("Bearer ").split(".")
    expected = hmac.new(b"the-secret", f"{head}.{claims}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") == expected
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert said == {"iss": "the-key", "exp": NOW + 1_800, "nbf": NOW - 5}


def test_a_key_never_goes_to_where_files_lie(provider: Provider, slept: list[float], tmp_path: Path) -> None:
    provider.on("GET /v1/videos/v/content", Say(b"", 302, {"location": "http://localhost:1/elsewhere"}))
    elsewhere = provider.address.replace("127.0.0.1", "localhost")
    provider.on("GET /v1/videos/v/content", Say(b"", 302, {"location": f"{elsewhere}/file.mp4"}))
    provider.on("GET /file.mp4", Say(b"the film"))
    api(SORA, provider, slept).fetch(f"{provider.address}/v1/videos/v/content", tmp_path / "film")
    assert "authorization" in provider.asked("GET /v1/videos/v/content")[0].headers
    assert "authorization" not in provider.asked("GET /file.mp4")[0].headers


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("file:///etc/passwd", "not https"),
        ("ftp://127.0.0.1/film", "not https"),
        ("{base}/missing", "answers 404"),
        ("{base}/turning", "too many redirects"),
        ("{base}/large", "larger than"),
    ],
)
def test_a_file_that_cannot_be_fetched_is_an_error(
    location: str, message: str, provider: Provider, slept: list[float], tmp_path: Path
) -> None:
    provider.on("GET /turning", Say(b"", 302, {"location": "/turning"}))
    provider.on("GET /large", Say(bytes(1 << 21)))
    with pytest.raises(HostedError, match=message):
        api(RUNWAY, provider, slept).fetch(location.replace("{base}", provider.address), tmp_path / "film")


def test_what_it_costs_is_the_list_price_by_the_second(provider: Provider, slept: list[float]) -> None:
    request = system_named("sora-2").complete(Request(prompt="a boat", frames=8 * 24))
    assert api(SORA, provider, slept).cost(request).dollars == pytest.approx(0.8)


def test_keys_are_needed_and_never_shown() -> None:
    for spec in HOSTED:
        with pytest.raises(LoadError, match="key of its provider is missing"):
            api_for(spec, Credentials(""), sleep=lambda _: None, now=lambda: NOW)
    with pytest.raises(LoadError, match="runs on this machine"):
        api_for(system_named("sd1.5"), Credentials("k"), sleep=lambda _: None, now=lambda: NOW)
    assert "the-key" not in repr(Credentials("the-key", "the-secret"))
