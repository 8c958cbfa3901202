"""The mark in sound: tracks of clips and sound files.

A track from elsewhere is marked where it can hold the mark: not when it is silent or shorter than a second.
Sound that was made here is marked or silent, or nothing is released. A second soft binding says that a track
is marked, and then the self-check requires that it reads back from the encoded file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from generator.errors import MarkingError
from generator.request import MediaFormat
from provenance.sniff import sniff
from watermark import (
    AudioDetection,
    AudioDetector,
    AudioMark,
    EmbeddingError,
    MarkKey,
    MediaError,
    MediaId,
    MediaLimits,
    Sound,
    has_sound,
    read_sound,
    write_sound,
)
from watermark.audio_mask import DEFAULT_STRENGTH, STRONGER

STRENGTHS: Final = (DEFAULT_STRENGTH, STRONGER)
SILENCE: Final = 1e-3
"""Peak below which a track counts as silent: -60 dB of full scale, below what a room hides."""
_READS_BACK: Final = -12.0
"""log10 p before encoding: a codec takes some of it, and -6 must be left."""

_FORMATS: Final = {
    "audio/wav": MediaFormat.WAV,
    "audio/flac": MediaFormat.FLAC,
    "audio/mpeg": MediaFormat.MP3,
    "audio/mp4": MediaFormat.M4A,
}


def marked_sound(
    sound: Sound, key: MarkKey, media_id: MediaId, listener: AudioDetector
) -> tuple[Sound, AudioMark] | None:
    """`sound` with the mark that was put in, or None where it cannot hold one that reads back."""
    for strength in STRENGTHS:
        mark = AudioMark(key, media_id, strength)
        try:
            samples = mark.apply(sound.samples, sound.rate)
        except EmbeddingError:
            return None
        if _names(listener.detect(samples, sound.rate), mark, _READS_BACK):
            return replace(sound, samples=samples), mark
    return None


def marked_track(
    path: Path, key: MarkKey, media_id: MediaId, listener: AudioDetector, limits: MediaLimits
) -> tuple[Sound, AudioMark] | None:
    """The first sound track of a clip, marked; None where there is none, or none that holds the mark."""
    return marked_sound(read_sound(path, limits), key, media_id, listener) if has_sound(path) else None


@dataclass(frozen=True, slots=True, eq=False)
class MadeSound:
    """The track of a clip that was made here; `mark` is None where it is silent."""

    sound: Sound
    mark: AudioMark | None


def made_sound(
    samples: NDArray[np.float32],
    rate: int,
    seconds: float,
    key: MarkKey,
    media_id: MediaId,
    listener: AudioDetector,
) -> MadeSound:
    """The waveform of a pipeline, float32 [channels, N] at `rate` Hz, brought to the length of its clip and
    marked.

    Both begin at once, so what is cut off or left silent at the end keeps the track in time. Raises
    `EmbeddingError` for NaN and infinity, and where it can be heard but does not hold a mark that reads back.
    """
    if not np.isfinite(samples).all():
        raise EmbeddingError("the sound holds NaN or infinity; what made it went wrong")
    length = round(seconds * rate)
    fitted = np.zeros((len(samples), length), np.float32)
    fitted[:, : samples.shape[1]] = samples[:, :length].clip(-1, 1)
    sound = Sound(fitted, rate, "pcm_f32le")
    if float(np.abs(fitted).max(initial=0.0)) < SILENCE:
        return MadeSound(sound, None)
    marked = marked_sound(sound, key, media_id, listener)
    if marked is None:
        raise EmbeddingError(
            f"the sound of {seconds:.1f} s is too short or plain for a mark; try another seed"
        )
    return MadeSound(*marked)


@dataclass(frozen=True, slots=True)
class EncodedSound:
    """A sound file that was marked before encoding."""

    path: Path
    mark: AudioMark


def format_of_sound(path: Path) -> MediaFormat | None:
    """What kind of sound file it is, or None for anything else. Raises `MediaError`."""
    return _FORMATS.get(mime_of(path))


def mime_of(path: Path) -> str:
    """The MIME type by the first bytes; empty for what is on no list. Raises `MediaError`."""
    try:
        with path.open("rb") as file:
            kind = sniff(file)
    except OSError as error:
        raise MediaError(f"{path.name}: cannot be read ({error.strerror})") from error
    return kind.mime if kind else ""


def encode_sound(
    sound: Sound, key: MarkKey, media_id: MediaId, wanted: MediaFormat, folder: Path, listener: AudioDetector
) -> EncodedSound:
    """Write `sound`, marked, in the format of its source. Raises `MarkingError` where it holds no mark."""
    marked = marked_sound(sound, key, media_id, listener)
    if marked is None:
        raise MarkingError(f"a sound of {sound.seconds:.1f} s that is too short, silent or plain for a mark")
    path = folder / f"encoded{wanted.suffix}"
    write_sound(path, replace(marked[0], start=0.0))
    return EncodedSound(path, marked[1])


def heard(path: Path, mark: AudioMark, listener: AudioDetector, limits: MediaLimits) -> AudioDetection | None:
    """What the detector hears in a file, or None when it is not `mark` at 1e-6 or better."""
    sound = read_sound(path, limits, rate=listener.rate)
    detection = listener.detect(sound.samples, sound.rate)
    return detection if _names(detection, mark, -6.0) else None


def _names(detection: AudioDetection, mark: AudioMark, log10_p: float) -> bool:
    same = detection.media_id == mark.media_id and detection.key_id == mark.key.key_id
    return detection.found and same and detection.log10_p <= log10_p
