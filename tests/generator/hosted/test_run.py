"""A hosted system end to end: guard first, then the provider, then mark, signature and record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from generator import Cancelled, QualityError, Reference, Request, RequestError
from generator.hosted import (
    Credentials,
    HostedError,
    HostedGenerator,
    HostedRefusalError,
    HostedTimeoutError,
    WireLimits,
    api_for,
)
from generator.systems import system_named
from guard import Guard, MtcnnFaces, PolicyViolation, parse_policy
from provenance import (
    Agent,
    InMemoryRegistry,
    ManifestFacts,
    SigningKey,
    create_dev_authority,
    inspect_media,
    judge,
    read_manifest,
    sign_asset,
)
from provenance.report import Verdict
from tests.generator.conftest import MEDIA_ID, NOW, POLICY, PROMPT_KEY, Desk
from tests.generator.hosted.provider import Provider, Say
from tests.generator.hosted.shapes import KLING, RUNWAY, SEEDANCE, SHAPES, SORA, Shape, play
from watermark import MediaId, MediaLimits, write_video

BOAT = Request(prompt="a boat", seed=7)
Make = Callable[..., HostedGenerator]


@pytest.fixture
def hosted(provider: Provider, guard: Guard, keys: dict[str, Any], tmp_path: Path) -> Make:
    def make(shape: Shape, **others: Any) -> HostedGenerator:
        ticks = iter(range(1_000_000))
        speaks = api_for(
            system_named(shape.system),
            Credentials("the-key", "the-secret"),
            sleep=lambda _: None,
            now=lambda: 1e9,
            base=provider.address,
            limits=WireLimits(attempts=1),
        )
        given = {
            "api": speaks,
            "guard": guard,
            "prompt_key": PROMPT_KEY,
            "sleep": lambda _: None,
            "clock_seconds": lambda: float(next(ticks)),
            "folder": tmp_path / "out",
            "deadline": 50.0,
        }
        return HostedGenerator(**{**keys, **given, **others})

    return make


@pytest.mark.parametrize(
    "shape",
    [pytest.param(shape, marks=() if shape in (SORA, KLING) else pytest.mark.slow) for shape in SHAPES],
    ids=lambda shape: shape.system,
)
def test_what_a_provider_makes_is_marked_signed_and_registered(
    shape: Shape, hosted: Make, provider: Provider, made: bytes, desk: Desk
) -> None:
    play(provider, shape, made)
    maker = hosted(shape)
    released = maker.generate(BOAT, MEDIA_ID, register=desk)
    report = read_manifest(released.path, maker.trust)
    assert [action.name for action in report.actions] == [
        "c2pa.opened",
        "c2pa.edited",
        "c2pa.watermarked.bound",
    ]
    assert report.ai_source_type.endswith("trainedAlgorithmicMedia")
    assert [(i.relationship, i.title) for i in report.ingredients] == [("parentOf", f"{shape.system} output")]
    assert released.record.model is not None
    assert (released.record.model.name, released.record.policy is not None) == (shape.system, True)
    assert "a boat" not in released.path.read_bytes().decode("latin-1")
    assert verdict(released.path, maker, desk) is Verdict.MADE_HERE
    assert list(maker.folder.iterdir()) == [released.path]


def verdict(path: Path, maker: HostedGenerator, desk: Desk) -> Verdict:
    evidence = inspect_media(path, detector=maker.detector, trust=maker.trust, limits=MediaLimits())
    records = InMemoryRegistry([asset.record for _, asset in desk.released])
    return judge(evidence, records, now=maker.clock()).verdict


def test_the_providers_own_manifest_is_kept_and_validated(
    hosted: Make, provider: Provider, made: bytes, desk: Desk, tmp_path: Path
) -> None:
    theirs = create_dev_authority(tmp_path / "theirs", now=datetime.now(UTC))
    plain, signed = tmp_path / "plain.mp4", tmp_path / "signed.mp4"
    plain.write_bytes(made)
    maker = hosted(SORA)
    trusting = replace(maker, trust=maker.trust.with_claim_root(theirs.root.read_bytes()))
    facts = ManifestFacts(
        title="theirs",
        mime="video/mp4",
        media_id=MediaId(99),
        created_at=datetime.now(UTC),
        generator=Agent("provider", "1"),
    )
    key = SigningKey.from_files(theirs.chain, theirs.key)
    label = sign_asset(plain, signed, facts, key, trust=trusting.trust).label
    play(provider, SORA, signed.read_bytes())
    released = trusting.generate(BOAT, MEDIA_ID, register=desk)
    (parent,) = read_manifest(released.path, trusting.trust).ingredients
    assert (parent.relationship, parent.label) == ("parentOf", label)
    assert (parent.generator, parent.failures) == ("provider 1", ())


def test_nothing_is_sent_before_the_guard_has_said_yes(
    hosted: Make, provider: Provider, made: bytes, desk: Desk, tmp_path: Path
) -> None:
    face = tmp_path / "face.png"
    Image.fromarray(data.astronaut()).save(face)
    play(provider, SEEDANCE, made)
    maker = hosted(SEEDANCE)
    with pytest.raises(PolicyViolation):
        maker.generate(Request(prompt="a dagger"), MEDIA_ID, register=desk)
    with pytest.raises(PolicyViolation):
        maker.generate(Request(prompt="a boat", references=(Reference(path=face),)), MEDIA_ID, register=desk)
    assert provider.sent == []


def test_what_arrives_is_dropped_when_the_output_rules_do_not_let_it_pass(
    hosted: Make, provider: Provider, made: bytes, desk: Desk
) -> None:
    no_output_rules = POLICY.replace("unchecked_stages: [output]\n", "")  # so that nothing may leave
    strict = Guard(parse_policy(no_output_rules), faces=MtcnnFaces(), consents=None, clock=lambda: NOW)
    play(provider, RUNWAY, made)
    maker = hosted(RUNWAY, guard=strict)
    with pytest.raises(PolicyViolation) as caught:
        maker.generate(BOAT, MEDIA_ID, register=desk)
    assert caught.value.decision.stage == "output"
    assert list(maker.folder.iterdir()) == []
    assert desk.released == []


def test_a_black_result_is_not_released(hosted: Make, provider: Provider, desk: Desk, tmp_path: Path) -> None:
    film = tmp_path / "black.mp4"
    write_video(film, [np.zeros((288, 384, 3), np.uint8)] * 4, fps=4)
    play(provider, RUNWAY, film.read_bytes())
    with pytest.raises(QualityError, match="black"):
        hosted(RUNWAY).generate(BOAT, MEDIA_ID, register=desk)


def test_a_refusal_of_the_provider_releases_nothing(hosted: Make, provider: Provider, desk: Desk) -> None:
    play(provider, SORA, b"", polls=(SORA.filtered,))
    maker = hosted(SORA)
    with pytest.raises(HostedRefusalError) as caught:
        maker.generate(BOAT, MEDIA_ID, register=desk)
    assert caught.value.reason == "provider_refused"
    assert desk.released == []
    assert list(maker.folder.iterdir()) == []


def test_a_task_that_never_ends_is_given_up_and_cancelled(
    hosted: Make, provider: Provider, desk: Desk
) -> None:
    play(provider, RUNWAY, b"", polls=(Say(RUNWAY.working),))
    with pytest.raises(HostedTimeoutError, match="longer than 50 s"):
        hosted(RUNWAY).generate(BOAT, MEDIA_ID, register=desk)
    assert provider.asked(RUNWAY.cancel or "")


def test_cancelling_reaches_the_provider(hosted: Make, provider: Provider, desk: Desk) -> None:
    play(provider, RUNWAY, b"", polls=(Say(RUNWAY.working),))
    told: list[float] = []
    with pytest.raises(Cancelled):
        hosted(RUNWAY).generate(
            BOAT,
            MEDIA_ID,
            register=desk,
            progress=lambda _, done: told.append(done),
            cancelled=lambda: len(told) >= 2,
        )
    assert told == [0.4, 0.4]
    assert provider.asked(RUNWAY.cancel or "")


def test_what_costs_too_much_is_not_sent(hosted: Make, provider: Provider, desk: Desk) -> None:
    with pytest.raises(RequestError, match=r"costs 0\.6 dollars"):
        hosted(RUNWAY, max_dollars=0.5).generate(BOAT, MEDIA_ID, register=desk)
    assert provider.sent == []


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\0\0\0\x20ftypisom"])
def test_what_is_no_clip_is_an_error(content: bytes, hosted: Make, provider: Provider, desk: Desk) -> None:
    from watermark import MediaError

    play(provider, RUNWAY, content)
    with pytest.raises((HostedError, MediaError)):
        hosted(RUNWAY).generate(BOAT, MEDIA_ID, register=desk)
    assert desk.released == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 640, "height": 480}, "makes 1280x720"),
        ({"frames": 100}, "seconds: .* makes 5, 8, 10, not"),
        ({"negative_prompt": "fog"}, "has none"),
    ],
)
def test_what_the_provider_does_not_make_is_refused_here(
    change: dict[str, Any], message: str, hosted: Make, provider: Provider, desk: Desk
) -> None:
    with pytest.raises(RequestError, match=message):
        hosted(RUNWAY).generate(replace(BOAT, **change), MEDIA_ID, register=desk)
    assert provider.sent == []
