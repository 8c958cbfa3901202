"""The whole promise: what comes out carries everything, and nothing comes out when a stage fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

import generator.issuer as issuer_module
import generator.pipeline as pipeline_module
import generator.sign as sign_module
from generator import (
    MediaFormat,
    MediaKind,
    QualityError,
    Reference,
    Request,
    RequestError,
    SafeGenerator,
    SelfCheckError,
)
from generator.digests import parameters_digest, prompt_digest
from generator.encode import encode
from generator.errors import BindingError, Cancelled
from generator.facts import parameters
from generator.sample import sample
from guard import PolicyViolation
from provenance import InMemoryRegistry, SignedAsset, inspect_media, judge, sign_asset
from provenance.report import Verdict
from tests.generator.conftest import MASTER, MEDIA_ID, PROMPT_KEY, Desk
from watermark import Detector, KeyRing, MediaError, MediaLimits, Strength, open_media, write_video

CLIP = Request(
    prompt="a boat", negative_prompt="fog", width=256, height=256, frames=5, steps=2, seed=3, fps=12
)
PICTURE = Request(prompt="a boat", width=256, height=256, steps=2, seed=3)


def test_a_clip_carries_mark_manifest_and_record(safe_wan: SafeGenerator, desk: Desk) -> None:
    told: list[str] = []
    released = safe_wan.generate(CLIP, MEDIA_ID, register=desk, progress=lambda stage, _: told.append(stage))
    assert released.path == safe_wan.folder / f"{MEDIA_ID.hex}.mp4"
    assert desk.released == [(released.path, released.asset)]
    assert list(safe_wan.folder.iterdir()) == [released.path]
    assert list(dict.fromkeys(told)) == ["guard", "sample", "decode", "check", "encode", "confirm", "sign"]

    evidence = inspect_media(
        released.path, detector=safe_wan.detector, trust=safe_wan.trust, limits=MediaLimits()
    )
    report = judge(evidence, InMemoryRegistry([released.record]), now=safe_wan.clock())
    assert report.verdict is Verdict.MADE_HERE
    media = open_media(released.path)
    assert (media.width, media.height, media.frame_count, media.fps) == (256, 256, 5, 12)


@pytest.mark.parametrize("wanted", [MediaFormat.PNG, MediaFormat.JPEG, MediaFormat.WEBP])
def test_a_picture_carries_mark_and_manifest_in_every_format(
    safe_image: SafeGenerator, desk: Desk, wanted: MediaFormat
) -> None:
    released = safe_image.generate(replace(PICTURE, format=wanted), MEDIA_ID, register=desk)
    assert released.path.suffix == wanted.suffix
    detection = safe_image.detector.detect(open_media(released.path).frames())
    assert detection.media_id == MEDIA_ID
    assert detection.log10_p <= -6


def test_the_record_says_what_was_asked_without_saying_the_prompt(
    safe_image: SafeGenerator, desk: Desk
) -> None:
    released = safe_image.generate(PICTURE, MEDIA_ID, register=desk)
    record, system = released.record, safe_image.system
    whole = system.spec.complete(PICTURE)
    assert record.digests["prompt"] == prompt_digest("a boat", PROMPT_KEY)
    assert record.digests["parameters"] == parameters_digest(parameters(whole, system))
    assert record.model is not None
    assert record.model.version == system.digest
    assert record.policy is not None
    assert (record.policy.id, record.policy.version) == ("test.generator", "1.0.0")
    assert record.fingerprint is not None
    assert b"a boat" not in released.path.read_bytes()


def test_a_seed_is_drawn_where_none_is_given(safe_image: SafeGenerator, desk: Desk) -> None:
    drawn = replace(safe_image, randbelow=lambda most: min(41, most - 1))
    assert drawn.admit(replace(PICTURE, seed=None)).request.seed == 41


def test_the_policy_answers_before_anything_is_sampled(safe_wan: SafeGenerator, desk: Desk) -> None:
    told: list[str] = []
    with pytest.raises(PolicyViolation):
        safe_wan.generate(
            replace(CLIP, prompt="a dagger"),
            MEDIA_ID,
            register=desk,
            progress=lambda stage, _: told.append(stage),
        )
    assert told == ["guard"]
    _nothing_came_out(safe_wan, desk)


def test_the_negative_prompt_is_read_by_the_guard_too(safe_wan: SafeGenerator) -> None:
    with pytest.raises(PolicyViolation):
        safe_wan.admit(replace(CLIP, negative_prompt="not a dagger"))


def test_a_face_without_consent_is_refused_before_the_system_is_asked(
    safe_wan: SafeGenerator, tmp_path: Path
) -> None:
    face = tmp_path / "face.png"
    Image.fromarray(data.astronaut()).save(face)
    with pytest.raises(PolicyViolation):
        safe_wan.admit(replace(CLIP, references=(Reference(path=face),)))


def test_an_allowed_reference_that_the_system_does_not_take_is_an_error(
    safe_wan: SafeGenerator, tmp_path: Path
) -> None:
    coffee = tmp_path / "coffee.png"
    Image.fromarray(data.coffee()).save(coffee)
    with pytest.raises(RequestError, match="takes no image"):
        safe_wan.admit(replace(CLIP, references=(Reference(path=coffee),)))
    with pytest.raises(RequestError, match="is image, not video"):
        safe_wan.admit(replace(CLIP, references=(Reference(path=coffee, kind=MediaKind.VIDEO),)))
    with pytest.raises(MediaError, match="no sound"):
        safe_wan.admit(replace(CLIP, references=(Reference(path=coffee, kind=MediaKind.AUDIO),)))


STAGES = ("sample", "screen", "encode", "confirm", "made_here", "sign")


@pytest.mark.parametrize("stage", STAGES)
def test_a_failure_at_any_stage_releases_nothing(
    safe_image: SafeGenerator, desk: Desk, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setattr(issuer_module if stage == "sign" else pipeline_module, stage, _failing)
    with pytest.raises(OSError, match="the disk is full"):
        safe_image.generate(PICTURE, MEDIA_ID, register=desk)
    _nothing_came_out(safe_image, desk)


def _failing(*_: Any, **__: Any) -> Any:
    raise OSError("the disk is full")


def test_a_failure_to_register_takes_the_file_away_again(safe_image: SafeGenerator, desk: Desk) -> None:
    desk.failure = RuntimeError("the database is gone")
    with pytest.raises(RuntimeError, match="the database is gone"):
        safe_image.generate(PICTURE, MEDIA_ID, register=desk)
    _nothing_came_out(safe_image, desk)


def test_cancelling_at_the_last_moment_releases_nothing(safe_image: SafeGenerator, desk: Desk) -> None:
    told: list[str] = []
    with pytest.raises(Cancelled):
        safe_image.generate(
            PICTURE,
            MEDIA_ID,
            register=desk,
            progress=lambda stage, _: told.append(stage),
            cancelled=lambda: "sign" in told,
        )
    _nothing_came_out(safe_image, desk)


def test_broken_pictures_are_not_released(safe_image: SafeGenerator, desk: Desk) -> None:
    decoder = safe_image.system.pipeline.vae.decoder.conv_out
    before = decoder.bias.data.clone()
    decoder.bias.data.fill_(-1e4)
    try:
        strict = replace(safe_image, quality=type(safe_image.quality)())
        with pytest.raises(QualityError, match="black"):
            strict.generate(PICTURE, MEDIA_ID, register=desk)
    finally:
        decoder.bias.data.copy_(before)
    _nothing_came_out(safe_image, desk)


def test_a_result_of_another_size_is_refused(
    safe_wan: SafeGenerator, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = sample

    def short(*args: Any, **options: Any) -> Any:
        marked = plain(*args, **options)
        object.__setattr__(marked, "pixels", marked.pixels[:-1])
        return marked

    monkeypatch.setattr(pipeline_module, "sample", short)
    with pytest.raises(QualityError, match="made 4 frames"):
        safe_wan.generate(CLIP, MEDIA_ID, register=desk)


def test_a_file_that_lost_frames_is_refused(
    safe_wan: SafeGenerator, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encode

    def cut(*args: Any) -> Any:
        encoded = whole(*args)
        frames = list(open_media(encoded.path).frames())
        write_video(encoded.path, frames[:-2], fps=CLIP.fps or 24)
        return encoded

    monkeypatch.setattr(pipeline_module, "encode", cut)
    with pytest.raises(SelfCheckError, match="holds 3 frames; 5 were written"):
        safe_wan.generate(CLIP, MEDIA_ID, register=desk)
    _nothing_came_out(safe_wan, desk)


def test_a_mark_too_weak_to_read_is_tried_once_more_and_stronger(
    safe_image: SafeGenerator, desk: Desk
) -> None:
    nothing = Strength(flat_luma=0.0, flat_chroma=0.0, peak_luma=0.0, peak_chroma=0.0)
    twice = replace(safe_image, strengths=(nothing, Strength()))
    assert twice.generate(PICTURE, MEDIA_ID, register=desk).asset.marked.mark.strength == Strength()
    never = replace(safe_image, strengths=(nothing, nothing))
    with pytest.raises(SelfCheckError, match="did not read back"):
        never.generate(PICTURE, MEDIA_ID, register=Desk())


def test_a_detector_of_other_keys_releases_nothing(safe_image: SafeGenerator, desk: Desk) -> None:
    stranger = KeyRing.derive(MASTER, deployment="elsewhere")
    with pytest.raises(SelfCheckError):
        replace(safe_image, detector=Detector([stranger])).generate(PICTURE, MEDIA_ID, register=desk)
    _nothing_came_out(safe_image, desk)


@pytest.mark.parametrize(
    ("break_", "words"),
    [
        (lambda report: replace(report, bindings=()), "the manifest names"),
        (lambda report: replace(report, state=type(report.state).INVALID), "read back as invalid"),
    ],
)
def test_a_manifest_that_does_not_agree_with_the_picture_is_refused(
    safe_image: SafeGenerator,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    break_: Callable[[Any], Any],
    words: str,
) -> None:
    def broken(*args: Any, **named: Any) -> SignedAsset:
        signed = sign_asset(*args, **named)
        return replace(signed, report=break_(signed.report))

    monkeypatch.setattr(sign_module, "sign_asset", broken)
    with pytest.raises(BindingError, match=words):
        safe_image.generate(PICTURE, MEDIA_ID, register=desk)
    _nothing_came_out(safe_image, desk)


def test_a_second_run_under_the_same_id_replaces_a_file_that_was_never_registered(
    safe_image: SafeGenerator, desk: Desk
) -> None:
    orphan = safe_image.folder / f"{MEDIA_ID.hex}.png"
    orphan.parent.mkdir()
    orphan.write_bytes(b"left by a killed process")
    released = safe_image.generate(PICTURE, MEDIA_ID, register=desk)
    assert released.path == orphan
    assert np.asarray(Image.open(orphan)).shape == (256, 256, 3)


def _nothing_came_out(safe: SafeGenerator, desk: Desk) -> None:
    assert desk.released == []
    assert not safe.folder.exists() or list(safe.folder.iterdir()) == []
