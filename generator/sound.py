"""The mark in sound: tracks of clips and sound files.

A track is marked where it can hold the mark: not when it is silent or shorter than a second. Then the file
says so, by a second soft binding, and the self-check requires that it reads back from the encoded file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

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
    sound = read_sound(path, limits)
    detection = listener.detect(sound.samples, sound.rate)
    return detection if _names(detection, mark, -6.0) else None


def _names(detection: AudioDetection, mark: AudioMark, log10_p: float) -> bool:
    same = detection.media_id == mark.media_id and detection.key_id == mark.key.key_id
    return detection.found and same and detection.log10_p <= log10_p
