"""Give a re-encoded picture track back the frame times and the sound of the clip it came from, packet by
packet.

`write_video` counts frames at a fixed rate. Phones record at a varying one, and sound that drifts from the
picture is the first thing that anyone notices. Packets are copied;
only sound that was marked is encoded anew.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import av.error

from generator.errors import MarkingError
from watermark import Sound
from watermark.audio_files import AAC_BITS_PER_CHANNEL, add_sound_stream, encoded_sound

_MP4: Final = {"movflags": "+faststart+use_metadata_tags"}


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """Presentation times of a clip's frames, ascending, in units of `base` seconds."""

    base: Fraction
    ticks: tuple[int, ...]

    def at(self, index: int) -> int:
        """The time of frame `index`; below zero, where decoding starts before the first picture, steps
        back evenly."""
        if index >= 0:
            return self.ticks[index]
        step = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else 1
        return self.ticks[0] + index * step


def has_timing(path: Path) -> bool:
    """Whether the file is a clip of an MP4 kind, whose frame times can be carried over."""
    with path.open("rb") as file:
        return file.read(8)[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free")


def with_timing_and_audio(
    silent: Path,
    source: Path,
    target: Path,
    sound: Sound | None = None,
    labels: Mapping[str, str] | None = None,
) -> None:
    """Write `target`: the picture track of `silent` at the times of `source`, with the sound tracks of
    `source`; `sound`, where given, takes the place of the first of them, at the time at which that began.
    `labels` go into the container's metadata.

    Raises `MarkingError` when the frames do not correspond or the sound cannot lie in an MP4 file.
    """
    try:
        times = _frame_times(source)
        with av.open(str(silent)) as pictures, av.open(str(source)) as sounds, _open_target(target) as out:
            out.metadata.update(labels or {})
            track = out.add_stream_from_template(pictures.streams.video[0])
            given = sounds.streams.audio
            replaced = [add_sound_stream(out, "aac", sound, AAC_BITS_PER_CHANNEL)] if sound else []
            tracks = {s.index: _audio_track(out, s, source) for s in given[len(replaced) :]}
            track.time_base = times.base
            heard = [encoded_sound(stream, sound) for stream in replaced] if sound else []
            heard.append(_sounds(sounds, tracks))
            shown = _pictures(pictures, track, times, source)
            # Players stream what lies side by side.
            for packet in heapq.merge(shown, *heard, key=_decoding_time):
                out.mux(packet)
    except (av.error.FFmpegError, OSError) as error:
        raise MarkingError(f"{source.name}: sound or timing cannot be kept ({error})") from error


def _open_target(target: Path) -> Any:
    return av.open(str(target), "w", options=_MP4)


def _frame_times(source: Path) -> FrameTimes:
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        shown = sorted(packet.pts for packet in packets if packet.pts is not None and not packet.is_discard)
        return FrameTimes(stream.time_base or Fraction(1, 1000), tuple(shown))


def _audio_track(out: Any, stream: Any, source: Path) -> Any:
    try:
        return out.add_stream_from_template(stream)
    except (ValueError, av.error.FFmpegError) as error:
        raise MarkingError(
            f"{source.name}: {stream.codec_context.name} sound cannot lie in an MP4 file; convert it to AAC"
        ) from error


def _pictures(pictures: Any, track: Any, times: FrameTimes, source: Path) -> Iterator[Any]:
    stream = pictures.streams.video[0]
    if stream.frames != len(times.ticks):
        raise MarkingError(
            f"{source.name}: {stream.frames} pictures but {len(times.ticks)} times; re-encode it first"
        )
    tick = Fraction(1) / (stream.average_rate * stream.time_base)
    for packet in pictures.demux(stream):
        if packet.dts is None:
            continue
        # The encoder stamped whole frame numbers; the k-th time of the source takes the place of number k.
        shown, decoded = round(packet.pts / tick), round(packet.dts / tick)
        packet.pts, packet.dts, packet.time_base = times.at(shown), times.at(decoded), times.base
        packet.stream = track
        yield packet


def _sounds(sounds: Any, tracks: dict[int, Any]) -> Iterator[Any]:
    for packet in sounds.demux(tuple(sounds.streams.audio)) if tracks else ():
        if packet.dts is not None and packet.stream.index in tracks:
            packet.stream = tracks[packet.stream.index]
            yield packet


def _decoding_time(packet: Any) -> Fraction:
    time: Fraction = packet.dts * packet.time_base
    return time
