"""A local system that makes sound: the track in time, marked, named in the manifest, read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generator import Request, SafeGenerator
from generator.reproduce import Likeness, reproduce
from generator.sound import made_sound
from guard import Guard
from provenance import read_manifest
from provenance.manifest import SOUND_BINDING_ALG
from tests.generator.conftest import ANYTHING_GOES, MEDIA_ID, PROMPT_KEY, Desk, system_of
from watermark import AudioDetector, EmbeddingError, KeyRing, open_media, read_sound

CLIP = Request(prompt="a boat", width=256, height=256, frames=17, fps=8, steps=1, guidance=1.0, seed=3)
RATE = 16_000

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:__array:DeprecationWarning")


@pytest.fixture
def listener(ring: KeyRing) -> AudioDetector:
    return AudioDetector([ring])


def test_a_clip_with_sound_is_marked_twice_signed_and_made_again(
    guard: Guard, keys: dict[str, Any], listener: AudioDetector, desk: Desk, tmp_path: Path
) -> None:
    safe = SafeGenerator(
        system=system_of("ltx-2"),
        guard=guard,
        prompt_key=PROMPT_KEY,
        quality=ANYTHING_GOES,
        folder=tmp_path / "out",
        **keys,
    )
    released = safe.generate(CLIP, MEDIA_ID, register=desk)
    sound, media = read_sound(released.path), open_media(released.path)
    assert (media.frame_count, media.fps, sound.rate, sound.start) == (17, 8, RATE, 0.0)
    assert sound.seconds == pytest.approx(17 / 8, abs=0.1)  # AAC fills up its last frame
    heard = listener.detect(sound.samples, sound.rate)
    assert (heard.media_id, heard.log10_p <= -6) == (MEDIA_ID, True)
    report = read_manifest(released.path, safe.trust)
    assert report.state.intact
    assert report.bound_ids(SOUND_BINDING_ALG) == (MEDIA_ID,)
    assert reproduce(safe, CLIP, released.record).likeness is Likeness.BYTES


@pytest.mark.parametrize("samples", [RATE, 3 * RATE], ids=["shorter", "longer"])
def test_a_track_is_brought_to_the_length_of_its_clip(
    samples: int, ring: KeyRing, listener: AudioDetector
) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (2, samples)).astype(np.float32)
    made = made_sound(noise, RATE, 2.0, ring.subkey(3), MEDIA_ID, listener)
    assert made.mark is not None
    assert made.sound.samples.shape == (2, 2 * RATE)
    assert np.abs(made.sound.samples[:, :RATE] - noise[:, :RATE]).max() < 0.1
    assert listener.detect(made.sound.samples, RATE).media_id == MEDIA_ID


def test_silence_stays_silent_and_unmarked(ring: KeyRing, listener: AudioDetector) -> None:
    made = made_sound(np.zeros((1, 9), np.float32), RATE, 2.0, ring.subkey(3), MEDIA_ID, listener)
    assert made.mark is None
    assert not made.sound.samples.any()


@pytest.mark.parametrize(
    ("value", "seconds", "message"), [(np.nan, 2.0, "NaN"), (0.5, 0.5, "too short or plain for a mark")]
)
def test_sound_that_cannot_hold_its_mark_is_not_handed_on(
    value: float, seconds: float, message: str, ring: KeyRing, listener: AudioDetector
) -> None:
    wave = np.full((1, 2 * RATE), value, np.float32)
    with pytest.raises(EmbeddingError, match=message):
        made_sound(wave, RATE, seconds, ring.subkey(3), MEDIA_ID, listener)
