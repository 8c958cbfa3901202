"""The sound mark: found after what happens to sound, bounded where there is none, unheard where it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from watermark import Band, DetectionError, EmbeddingError, KeyRing, MediaError, MediaId
from watermark.audio_detect import AudioDetector
from watermark.audio_embed import AudioMark
from watermark.audio_files import Sound, has_sound, read_sound, write_sound
from watermark.audio_frames import Frames
from watermark.audio_layout import (
    FREQUENCIES,
    PERIOD,
    AudioSeeds,
    band,
    lay_audio_chips,
    lay_audio_pattern,
    lay_audio_pilot,
)
from watermark.audio_mask import Masking
from watermark.coding import encode
from watermark.payload import encode_payload

MASTER = hashlib.sha256(b"sound tests").digest()
RING = KeyRing.derive(MASTER, deployment="tests")
OTHER = KeyRing.derive(MASTER, deployment="others")
MEDIA_ID = MediaId(0x0F1E2D3C4B5A)
RATE = 44_100
VECTORS = Path(__file__).parents[2] / "docs" / "spec" / "vectors" / "audio-1.json"
Wave = NDArray[np.float32]


def voice(seconds: float = 5.0, rate: int = RATE, seed: int = 1) -> Wave:
    """Something like speech: a buzz that glides, through moving resonances, in syllables with pauses."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * time) + 10 * np.sin(2 * np.pi * 2.3 * time)
    buzz = signal.sawtooth(2 * np.pi * np.cumsum(pitch) / rate) + 0.1 * rng.standard_normal(len(time))
    sound = np.zeros(len(time))
    for centre, width in ((500, 80), (1_500, 120), (2_500, 160), (3_600, 250)):
        b, a = signal.iirpeak(centre, centre / width, fs=rate)
        sound += signal.lfilter(b, a, buzz)
    syllables = np.clip(np.sin(2 * np.pi * 2.1 * time) * 1.5 + 0.4, 0, 1)
    wave: Wave = (0.2 * sound * syllables / np.abs(sound).max())[None].astype(np.float32)
    return wave


@pytest.fixture(scope="module")
def detector() -> AudioDetector:
    return AudioDetector([RING])


@pytest.fixture(scope="module")
def plain() -> Wave:
    return voice()


@pytest.fixture(scope="module")
def marked(plain: Wave) -> Wave:
    return AudioMark(RING.subkey(3), MEDIA_ID).apply(plain, RATE)


def through(path: Path, samples: Wave) -> tuple[Wave, int]:
    write_sound(path, Sound(samples, RATE, ""))
    read = read_sound(path)
    return read.samples, read.rate


def noisy(samples: Wave) -> Wave:
    noise = np.random.default_rng(2).standard_normal(samples.shape)
    added: Wave = (samples + noise * 0.1 * samples.std()).astype(np.float32)
    return added


EDITS: dict[str, Callable[[Wave], tuple[Wave, int]]] = {
    "as it is": lambda s: (s, RATE),
    "half a second from the start": lambda s: (s[:, 22_051:], RATE),
    "one second": lambda s: (s[:, 70_000 : 70_000 + RATE], RATE),
    "quieter": lambda s: (0.1 * s, RATE),
    "upside down": lambda s: (-s, RATE),
    "resampled to 16 kHz": lambda s: (signal.resample_poly(s, 160, 441, axis=1), 16_000),
    "resampled to 8 kHz": lambda s: (signal.resample_poly(s, 80, 441, axis=1), 8_000),
    "noise at 20 dB": lambda s: (noisy(s), RATE),
    "two channels": lambda s: (np.concatenate([s, 0.5 * s]), RATE),
    "backed by silence": lambda s: (np.pad(s, ((0, 0), (100_000, 0))), RATE),
}


@pytest.mark.parametrize("edit", EDITS)
def test_the_id_is_read_after(edit: str, marked: Wave, detector: AudioDetector) -> None:
    found = detector.detect(*EDITS[edit](marked))
    assert (found.media_id, found.key_id, found.band) == (MEDIA_ID, "0.3", Band.DETECTED)
    assert found.log10_p <= -6


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".m4a"])
def test_the_id_is_read_from_a_file(
    suffix: str, marked: Wave, detector: AudioDetector, tmp_path: Path
) -> None:
    assert detector.detect(*through(tmp_path / f"sound{suffix}", marked)).media_id == MEDIA_ID


@pytest.mark.parametrize("edit", ["as it is", "one second", "noise at 20 dB"])
def test_nothing_is_found_without_a_mark_or_under_another_key(
    edit: str, plain: Wave, marked: Wave, detector: AudioDetector
) -> None:
    assert not detector.detect(*EDITS[edit](plain)).found
    assert not AudioDetector([OTHER]).detect(*EDITS[edit](marked)).found


def test_a_marked_part_is_found_in_a_long_sound(plain: Wave, detector: AudioDetector) -> None:
    part = AudioMark(RING.subkey(0), MEDIA_ID).apply(plain, RATE)
    before, after = voice(25.0, seed=4), voice(25.0, seed=5)
    whole = np.concatenate([before, part, after], axis=1)
    assert detector.detect(whole, RATE).media_id == MEDIA_ID
    assert not detector.detect(np.concatenate([before, plain, after], axis=1), RATE).found


def test_every_ring_is_looked_for(marked: Wave) -> None:
    assert AudioDetector([OTHER, RING]).detect(marked, RATE).media_id == MEDIA_ID


def test_the_offset_says_where_the_period_began(marked: Wave, detector: AudioDetector) -> None:
    cut = detector.detect(marked[:, 4_410:], RATE)
    assert cut.offset == pytest.approx(0.1, abs=1e-4)


def test_the_mark_stays_20_db_below_speech_and_under_the_masking_threshold(plain: Wave, marked: Wave) -> None:
    change = marked - plain
    assert 10 * np.log10(np.sum(plain**2) / np.sum(change**2)) >= 20
    masking = Masking(RATE, 1_024)
    spectra = [signal.stft(x[0], RATE, nperseg=1_024)[2].T for x in (plain, change)]
    allowed, added = masking.thresholds(np.abs(spectra[0]) ** 2), np.abs(spectra[1]) ** 2
    assert 10 * np.log10(added.sum() / allowed.sum()) <= -6


def test_silence_stays_silent_and_level_is_no_matter(plain: Wave) -> None:
    mark = AudioMark(RING.subkey(1), MEDIA_ID)
    assert not mark.apply(np.zeros((2, RATE), np.float32), RATE).any()
    quiet = mark.apply(plain * 1e-3, RATE) * 1e3
    assert np.allclose(quiet, mark.apply(plain, RATE), atol=1e-4)


def test_the_mark_never_clips(plain: Wave) -> None:
    loud = plain / np.abs(plain).max()
    assert np.abs(AudioMark(RING.subkey(1), MEDIA_ID).apply(loud, RATE)).max() <= 1.0


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(RATE, np.float32), RATE, r"float \[channels, N\]"),
        (np.zeros((1, RATE), np.int16), RATE, r"float \[channels, N\]"),
        (np.zeros((1, 100), np.float32), RATE, "needs 1 s at least"),
        (np.zeros((0, RATE), np.float32), RATE, "needs 1 s at least"),
        (np.zeros((1, RATE), np.float32), 4_000, "8000 to 192000 Hz"),
        (np.full((1, RATE), np.nan, np.float32), RATE, "NaN"),
    ],
)
def test_what_cannot_hold_the_mark_is_refused(samples: Any, rate: int, message: str) -> None:
    with pytest.raises(EmbeddingError, match=message):
        AudioMark(RING.subkey(0), MEDIA_ID).apply(samples, rate)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros((1, 1, RATE), np.float32), RATE, r"float \[N\]"),
        (np.zeros(RATE, np.int16), RATE, r"float \[N\]"),
        (np.zeros(RATE, np.float32), 0, "positive rate"),
        (np.zeros(100, np.float32), RATE, "nothing can be read"),
        (np.full(RATE, np.inf, np.float32), RATE, "NaN or infinity"),
    ],
)
def test_what_is_no_sound_is_refused(samples: Any, rate: int, message: str, detector: AudioDetector) -> None:
    with pytest.raises(DetectionError, match=message):
        detector.detect(samples, rate)
    with pytest.raises(DetectionError, match="at least one"):
        AudioDetector([])


def test_nothing_is_found_in_silence(detector: AudioDetector) -> None:
    assert detector.detect(np.zeros((1, RATE), np.float32), RATE).log10_p == 0.0


@pytest.mark.parametrize("length", [1, 255, 256, 5_000, 1_024 * 2_100])
def test_frames_give_back_what_they_were_given(length: int) -> None:
    wave = np.random.default_rng(0).standard_normal(length).astype(np.float32)
    back = Frames(1_024, 256).transform(lambda spectra: spectra[0], wave)
    assert np.allclose(back, wave, atol=1e-5)


def test_files_are_read_within_limits(tmp_path: Path, plain: Wave) -> None:
    from watermark import MediaLimits

    path = tmp_path / "sound.wav"
    write_sound(path, Sound(plain, RATE, ""))
    assert has_sound(path)
    assert read_sound(path).samples == pytest.approx(plain, abs=1e-4)
    with pytest.raises(MediaError, match="longer than the limit"):
        read_sound(path, MediaLimits(max_seconds=1.0))
    with pytest.raises(MediaError, match="more bytes"):
        read_sound(path, MediaLimits(max_bytes=100))
    with pytest.raises(MediaError, match="written as"):
        write_sound(tmp_path / "sound.txt", Sound(plain, RATE, ""))
    path.write_bytes(b"RIFF\0\0\0\0WAVEfmt ")
    with pytest.raises(MediaError):
        read_sound(path)


def compute(master: str, deployment: str, epoch: int, subkey: int, media_id: str) -> dict[str, Any]:
    """Everything that the vectors hold for one key and id."""
    key = KeyRing.derive(bytes.fromhex(master), deployment=deployment, epoch=epoch).subkey(subkey)
    seeds = AudioSeeds.of(key)
    chips = lay_audio_chips(seeds.payload)
    bits = encode_payload(MediaId.parse(media_id), seeds.payload)
    pattern, pilot = lay_audio_pattern(key, MediaId.parse(media_id)), lay_audio_pilot(seeds.pilot)
    return {
        "pilot_seed": seeds.pilot.hex(),
        "payload_seed": seeds.payload.hex(),
        "message": np.packbits(bits).tobytes().hex(),
        "coded": np.packbits(encode(bits)).tobytes().hex(),
        "signs_0_to_31": chips.signs[:32].astype(int).tolist(),
        "bits_256_to_287": chips.bits[256:288].tolist(),
        "pilot_0_to_7": pilot[:8].round(4).tolist(),
        "pattern_0_to_7": pattern[:8].round(4).tolist(),
        "pattern_16376_to_16383": pattern[-8:].round(4).tolist(),
    }


@pytest.mark.parametrize("case", json.loads(VECTORS.read_text())["cases"])
def test_vectors(case: dict[str, Any]) -> None:
    computed = compute(**case["input"])
    for name, expected in case["output"].items():
        rounded = name.startswith(("pilot_0", "pattern"))
        assert computed[name] == (pytest.approx(expected, abs=2e-4) if rounded else expected)


def test_the_pattern_has_unit_power_and_stays_in_its_band() -> None:
    pattern = lay_audio_pattern(RING.subkey(0), MEDIA_ID)
    assert pattern.shape == (PERIOD,)
    assert np.mean(pattern**2) == pytest.approx(1, abs=0.05)
    spectrum = np.abs(np.fft.rfft(pattern))
    assert spectrum[band(FREQUENCIES) == 0].max() < 1e-6 * spectrum.max()
