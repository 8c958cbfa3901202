"""Sound files and sound tracks through PyAV: read whole, within limits, and written atomically."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from watermark.errors import MediaError
from watermark.limits import DEFAULT_LIMITS, MediaLimits
from watermark.writing import atomic

MAX_CHANNELS: Final = 8
MAX_RATE: Final = 192_000
AAC_BITS_PER_CHANNEL: Final = 96_000
"""Twice what AAC needs to sound like the original: the one loss that marking adds stays unheard."""
_CODECS: Final[Mapping[str, tuple[str, int | None]]] = {
    ".wav": ("pcm_s16le", None),
    ".flac": ("flac", None),
    ".mp3": ("libmp3lame", 128_000),
    ".m4a": ("aac", AAC_BITS_PER_CHANNEL),
}
"""Encoder and bits per second and channel, by extension."""
_MP3_RATES: Final = (48_000, 44_100, 32_000, 24_000, 22_050, 16_000)
_AAC_RATES: Final = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000)
_LAYOUTS: Final = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


@dataclass(frozen=True, eq=False)
class Sound:
    """The first sound track of a file: `samples` float32 [channels, N] at `rate` Hz, nominally in [-1, 1].

    `start` is when it begins on the file's clock, in seconds; `codec` is FFmpeg's name of what it was in.
    """

    samples: NDArray[np.float32]
    rate: int
    codec: str
    start: float = 0.0

    @property
    def seconds(self) -> float:
        """Length."""
        return float(self.samples.shape[1] / self.rate)


def has_sound(path: Path) -> bool:
    """Whether the file holds a sound track. Raises `MediaError` for a file that cannot be opened."""
    try:
        with av.open(str(path)) as container:
            return bool(container.streams.audio)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{path.name}: cannot be read ({error})") from error


def read_sound(path: Path, limits: MediaLimits = DEFAULT_LIMITS, *, rate: int | None = None) -> Sound:
    """Decode the first sound track of a sound file or clip, at its own rate or at `rate`.

    Raises `MediaError` where there is none, where it breaks off, and beyond `limits` (bytes, seconds) or
    `MAX_CHANNELS` channels.
    """
    try:
        if path.stat().st_size > limits.max_bytes:
            raise MediaError(f"{path.name}: more bytes than the limit of {limits.max_bytes}")
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise MediaError(f"{path.name}: there is no sound in the file")
            stream = container.streams.audio[0]
            wanted = rate or _checked_rate(path, stream)
            start = float(stream.start_time * stream.time_base) if stream.start_time else 0.0
            most = round(limits.max_seconds * wanted)
            blocks = list(_within(path, _decoded(container, stream, wanted), most))
            codec = stream.codec_context.name
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise MediaError(f"{path.name}: the sound is broken or incomplete ({error})") from error
    if not blocks:
        raise MediaError(f"{path.name}: the sound track is empty")
    return Sound(np.concatenate(blocks, axis=1), wanted, codec, max(0.0, start))


def write_sound(path: Path, sound: Sound) -> None:
    """Write WAV (16 bits), FLAC, MP3 or M4A (AAC) by extension, with the length that the sound has.

    MP3 and AAC know some rates only; another is brought to the next higher one. Raises `MediaError` for other
    extensions and when encoder or disk fails.
    """
    if path.suffix.lower() not in _CODECS:
        raise MediaError(f"{path.name}: sound is written as {', '.join(_CODECS)}")
    name, bits = _CODECS[path.suffix.lower()]
    with atomic(path) as part:
        try:
            with av.open(str(part), "w") as container:
                stream = add_sound_stream(container, name, sound, bits)
                for packet in encoded_sound(stream, sound):
                    container.mux(packet)
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise MediaError(f"{path.name}: could not be written ({error})") from error


def add_sound_stream(container: Any, codec: str, sound: Sound, bits_per_channel: int | None) -> Any:
    """A stream of `container` for this sound."""
    channels = len(sound.samples)
    stream = container.add_stream(codec, rate=_encoder_rate(codec, sound.rate), layout=_LAYOUTS[channels])
    if bits_per_channel is not None:
        stream.bit_rate = bits_per_channel * channels
    return stream


def encoded_sound(stream: Any, sound: Sound) -> Iterator[Any]:
    """The packets of `sound`, encoded by `stream`, the first at `sound.start`."""
    context = stream.codec_context
    resampler = av.AudioResampler(
        format=context.format.name, layout=context.layout.name, rate=context.sample_rate,
        frame_size=context.frame_size or None,
    )  # fmt: skip
    layout = _LAYOUTS[len(sound.samples)]
    for first in range(0, sound.samples.shape[1], sound.rate):
        block = np.ascontiguousarray(sound.samples[:, first : first + sound.rate])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = sound.rate, first + round(sound.start * sound.rate)
        for piece in resampler.resample(frame):
            yield from stream.encode(piece)
    for piece in resampler.resample(None):
        yield from stream.encode(piece)
    yield from stream.encode(None)


def _encoder_rate(codec: str, rate: int) -> int:
    known = {"libmp3lame": _MP3_RATES, "aac": _AAC_RATES}.get(codec, (rate,))
    return min((r for r in known if r >= rate), default=max(known))


def _checked_rate(path: Path, stream: Any) -> int:
    rate, channels = stream.rate or 0, stream.channels
    if not 0 < rate <= MAX_RATE or not 0 < channels <= MAX_CHANNELS:
        raise MediaError(f"{path.name}: sound of {channels} channels at {rate} Hz cannot be read")
    return int(rate)


def _decoded(container: Any, stream: Any, rate: int) -> Iterator[NDArray[np.float32]]:
    layout = _LAYOUTS[min(stream.channels, MAX_CHANNELS)]
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
    for frame in container.decode(stream):
        for piece in resampler.resample(frame):
            yield piece.to_ndarray()
    for piece in resampler.resample(None):
        yield piece.to_ndarray()


def _within(path: Path, blocks: Iterator[NDArray[np.float32]], most: int) -> Iterator[NDArray[np.float32]]:
    total = 0
    for block in blocks:
        total += block.shape[1]
        if total > most:
            raise MediaError(f"{path.name}: the sound is longer than the limit")
        yield block
