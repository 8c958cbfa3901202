"""Pictures, clips and sounds that go in: screened, each an ingredient with its own manifest and marks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from generator import MediaKind, MediaMarker, Reference, Request, RequestError
from generator.hosted import Credentials, HostedGenerator, WireLimits, api_for
from generator.systems import system_named
from guard import Guard, PolicyViolation
from provenance import (
    Agent,
    ManifestFacts,
    SigningKey,
    create_dev_authority,
    read_manifest,
    sign_asset,
)
from tests.generator.conftest import MEDIA_ID, PROMPT_KEY, Desk
from tests.generator.hosted.provider import Provider
from tests.generator.hosted.shapes import SEEDANCE, play
from watermark import MediaId, Sound, write_sound, write_video

PICTURE_ID, SOUND_ID = MediaId(0xA1), MediaId(0xA2)
RATE = 32_000


def hosted(provider: Provider, guard: Guard, keys: dict[str, Any], tmp_path: Path, **others: Any) -> Any:
    api = api_for(
        system_named("seedance-2.0"),
        Credentials("the-key"),
        sleep=lambda _: None,
        now=lambda: 1e9,
        base=provider.address,
        limits=WireLimits(attempts=1),
    )
    given = {
        "api": api,
        "guard": guard,
        "prompt_key": PROMPT_KEY,
        "sleep": lambda _: None,
        "clock_seconds": lambda: 0.0,
        "folder": tmp_path / "out",
        "hear": lambda sound: "waves at the shore",
    }
    return HostedGenerator(**{**keys, **given, **others})


class Shelf:
    """Files that may be given: plain ones, one that we marked, one that somebody else signed."""

    def __init__(self, folder: Path, keys: dict[str, Any]) -> None:
        self.folder = folder
        self.marker = MediaMarker(folder=folder / "marked", **keys)

    def picture(self, number: int) -> Reference:
        path = self.folder / f"picture-{number}.png"
        Image.fromarray(data.coffee()[:256, 20 * number : 20 * number + 256]).save(path)
        return Reference(path=path, title=f"picture {number}")

    def our_picture(self) -> Reference:
        released = self.marker.mark(self.picture(0).path, PICTURE_ID, register=lambda *_: None)
        return Reference(path=released.path, title="ours")

    def their_picture(self) -> Reference:
        authority = create_dev_authority(self.folder / "theirs", now=datetime.now(UTC))
        target = self.folder / "theirs.png"
        facts = ManifestFacts(
            title="theirs",
            mime="image/png",
            media_id=MediaId(9),
            created_at=datetime.now(UTC),
            generator=Agent("camera", "2"),
        )
        key = SigningKey.from_files(authority.chain, authority.key)
        sign_asset(self.picture(1).path, target, facts, key, trust=self.marker.trust)
        return Reference(path=target, title="theirs")

    def clip(self, number: int) -> Reference:
        path = self.folder / f"clip-{number}.mp4"
        crops = [data.coffee()[:256, 4 * i + number : 4 * i + number + 256] for i in range(3)]
        write_video(path, [np.ascontiguousarray(crop) for crop in crops], fps=8)
        return Reference(path=path, kind=MediaKind.VIDEO, title=f"clip {number}")

    def sound(self, number: int) -> Reference:
        path = self.folder / f"sound-{number}.wav"
        noise = 0.1 * np.random.default_rng(number).standard_normal((1, 2 * RATE))
        write_sound(path, Sound(noise.astype(np.float32), RATE, ""))
        return Reference(path=path, kind=MediaKind.AUDIO, title=f"sound {number}")

    def our_sound(self) -> Reference:
        released = self.marker.mark(self.sound(0).path, SOUND_ID, register=lambda *_: None)
        return Reference(path=released.path, kind=MediaKind.AUDIO, title="our sound")


@pytest.fixture
def shelf(tmp_path: Path, keys: dict[str, Any]) -> Shelf:
    return Shelf(tmp_path, keys)


@pytest.mark.slow
def test_every_one_of_15_references_becomes_an_ingredient_with_its_manifest_and_mark(
    shelf: Shelf,
    provider: Provider,
    made: bytes,
    guard: Guard,
    keys: dict[str, Any],
    tmp_path: Path,
    desk: Desk,
) -> None:
    pictures, clips, sounds = 7, 3, 2  # beside the three that carry something
    references = (
        shelf.our_picture(),
        shelf.their_picture(),
        *(shelf.picture(2 + i) for i in range(pictures)),
        *(shelf.clip(i) for i in range(clips)),
        shelf.our_sound(),
        *(shelf.sound(1 + i) for i in range(sounds)),
    )
    play(provider, SEEDANCE, made)
    maker = hosted(provider, guard, keys, tmp_path)
    released = maker.generate(Request(prompt="a boat", references=references), MEDIA_ID, register=desk)

    report = read_manifest(released.path, maker.trust)
    assert report.state.intact
    assert [i.title for i in report.ingredients] == [
        "seedance-2.0 output",
        *(reference.title for reference in references),
    ]
    assert {i.relationship for i in report.ingredients[1:]} == {"inputTo"}
    for ingredient, reference in zip(report.ingredients[1:], references, strict=True):
        assert ingredient.label == read_manifest(reference.path, maker.trust).label
        assert [failure.code for failure in ingredient.failures] in ([], ["signingCredential.untrusted"])
    assert {i.generator for i in report.ingredients[1:] if i.label} == {"camera 2", "assay 0.1.0"}
    facts = released.asset.facts
    marks = [item.mark for item in facts.inputs]
    assert marks[:2] == [PICTURE_ID, None]
    assert marks[2 + pictures + clips] == SOUND_ID
    assert sum(mark is not None for mark in marks) == 2
    manifest = released.record.manifest or b""
    assert PICTURE_ID.hex.encode() in manifest
    sent = provider.asked(SEEDANCE.submit)[0].json["content"]
    assert len(sent) == 1 + len(references)


def test_a_sound_that_nobody_can_hear_is_refused(
    shelf: Shelf, provider: Provider, guard: Guard, keys: dict[str, Any], tmp_path: Path, desk: Desk
) -> None:
    deaf = hosted(provider, guard, keys, tmp_path, hear=None)
    with pytest.raises(RequestError, match="nothing here can hear"):
        deaf.generate(Request(prompt="a boat", references=(shelf.sound(0),)), MEDIA_ID, register=desk)
    assert provider.sent == []


def test_what_is_said_in_a_sound_passes_the_rules_about_texts(
    shelf: Shelf, provider: Provider, guard: Guard, keys: dict[str, Any], tmp_path: Path, desk: Desk
) -> None:
    maker = hosted(provider, guard, keys, tmp_path, hear=lambda sound: "she drew a dagger")
    with pytest.raises(PolicyViolation):
        maker.generate(Request(prompt="a boat", references=(shelf.sound(0),)), MEDIA_ID, register=desk)
    assert provider.sent == []


def test_more_than_the_provider_takes_is_refused(
    shelf: Shelf, provider: Provider, guard: Guard, keys: dict[str, Any], tmp_path: Path, desk: Desk
) -> None:
    with pytest.raises(RequestError, match="at most 3"):
        Request(prompt="a boat", references=(shelf.clip(0),) * 4)
    maker = hosted(provider, guard, keys, tmp_path)
    sora = replace(maker, api=replace(maker.api, spec=system_named("sora-2")))
    two = Request(prompt="a boat", references=(shelf.picture(1), shelf.picture(2)))
    with pytest.raises(RequestError, match="takes one image, not 2"):
        sora.generate(two, MEDIA_ID, register=desk)
