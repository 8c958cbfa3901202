"""Files made elsewhere: marked, signed, registered; time and sound kept; what cannot be marked is said."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from generator import MarkingError, MediaMarker
from generator.errors import Cancelled
from generator.remux import with_timing_and_audio
from provenance import InMemoryRegistry, inspect_media, judge, read_manifest
from provenance.report import Verdict
from tests.generator.conftest import MEDIA_ID, Desk
from watermark import (
    AudioDetector,
    MediaError,
    MediaId,
    MediaLimits,
    Sound,
    open_media,
    read_sound,
    write_sound,
    write_video,
)

SHARED = Path(__file__).parents[3] / "shared" / "data"
OTHER_ID = MediaId(0xBA9876543210)


@pytest.fixture
def marker(keys: dict[str, Any], tmp_path: Path) -> MediaMarker:
    return MediaMarker(folder=tmp_path / "out", **keys)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(data.astronaut()).save(path)
    return path


def pan(count: int, height: int = 288, width: int = 384) -> list[NDArray[np.uint8]]:
    picture = data.coffee()
    return [picture[60 : 60 + height, 3 * index : 3 * index + width] for index in range(count)]


@pytest.fixture
def phone_clip(tmp_path: Path) -> Path:
    """A clip as a phone records it: frames at uneven times, and a sound too short for a mark."""
    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=30, options={"bf": "2"})
        video.width, video.height, video.pix_fmt, video.time_base = 384, 288, "yuv420p", Fraction(1, 600)
        video.codec_context.time_base = Fraction(1, 600)
        sound = out.add_stream("aac", rate=48000, layout="mono")
        for index, pixels in enumerate(pan(24)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = TIMES[index], Fraction(1, 600)
            out.mux(video.encode(frame))
        out.mux(video.encode())
        tone = np.sin(np.arange(36864) * 2 * np.pi * 440 / 48000).astype(np.float32)
        for start in range(0, 36864, 1024):
            piece = tone[None, start : start + 1024]
            chunk = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece), format="fltp", layout="mono")
            chunk.sample_rate, chunk.pts, chunk.time_base = 48000, start, Fraction(1, 48000)
            out.mux(sound.encode(chunk))
        out.mux(sound.encode())
    return path


TIMES = [20 * index + 7 * (index % 3) for index in range(24)]  # ticks of 1/600 s: about 30 a second, uneven


def verdict(path: Path, marker: MediaMarker, desk: Desk) -> Verdict:
    evidence = inspect_media(path, detector=marker.detector, trust=marker.trust, limits=MediaLimits())
    records = InMemoryRegistry([asset.record for _, asset in desk.released])
    return judge(evidence, records, now=marker.clock()).verdict


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_photo_is_marked_signed_and_registered(
    marker: MediaMarker, desk: Desk, photo: Path, tmp_path: Path, suffix: str
) -> None:
    source = tmp_path / f"source{suffix}"
    Image.open(photo).save(source, quality=95)
    released = marker.mark(source, MEDIA_ID, register=desk)
    assert released.path.suffix == suffix
    assert verdict(released.path, marker, desk) is Verdict.MADE_HERE
    assert list(marker.folder.iterdir()) == [released.path]


def test_no_source_type_claims_nothing_about_ai(marker: MediaMarker, desk: Desk, photo: Path) -> None:
    released = marker.mark(photo, MEDIA_ID, register=desk)
    report = read_manifest(released.path, marker.trust)
    assert report.ai_source_type == ""
    assert [action.name for action in report.actions] == ["c2pa.opened", "c2pa.watermarked.bound"]


def test_without_a_signature_the_mark_alone_proves_it(marker: MediaMarker, desk: Desk, photo: Path) -> None:
    released = marker.mark(photo, MEDIA_ID, register=desk, no_sign=True)
    assert released.record.manifest is None
    assert read_manifest(released.path, marker.trust).state == "absent"
    assert marker.detector.detect(open_media(released.path).frames()).media_id == MEDIA_ID


def test_a_clip_keeps_the_times_of_its_frames_and_its_sound(
    marker: MediaMarker, desk: Desk, phone_clip: Path
) -> None:
    released = marker.mark(phone_clip, MEDIA_ID, register=desk)
    assert frame_times(released.path) == frame_times(phone_clip)
    assert sound_packets(released.path) == sound_packets(phone_clip)
    assert verdict(released.path, marker, desk) is Verdict.MADE_HERE


def frame_times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def sound_packets(path: Path) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(audio=0) if p.size]


def test_sound_and_picture_lie_side_by_side(marker: MediaMarker, desk: Desk, phone_clip: Path) -> None:
    released = marker.mark(phone_clip, MEDIA_ID, register=desk)
    with av.open(str(released.path)) as container:
        kinds = [packet.stream.type for packet in container.demux() if packet.size]
    assert "audio" in kinds[: kinds.index("video") + 12]


def test_a_turned_clip_comes_out_upright(marker: MediaMarker, desk: Desk, tmp_path: Path) -> None:
    flat, turned = tmp_path / "flat.mp4", tmp_path / "turned.mp4"
    write_video(flat, pan(10), fps=10)
    with av.open(str(flat)) as source, av.open(str(turned), "w") as out:
        track = out.add_stream_from_template(source.streams.video[0])
        track.set_display_rotation(90) if hasattr(track, "set_display_rotation") else pytest.skip(
            "PyAV cannot"
        )
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                out.mux(packet)
    released = marker.mark(turned, MEDIA_ID, register=desk)
    media = open_media(released.path)
    assert (media.width, media.height) == (288, 384)


def test_the_manifest_of_the_source_is_kept(marker: MediaMarker, desk: Desk, tmp_path: Path) -> None:
    signed = SHARED / "c2pa" / "contentauth__C.jpg"
    if not signed.exists():
        pytest.skip("the shared C2PA files are not beside this checkout")
    released = marker.mark(signed, MEDIA_ID, register=desk)
    (parent,) = read_manifest(released.path, marker.trust).ingredients
    assert parent.relationship == "parentOf"
    assert parent.label == read_manifest(signed, marker.trust).label


def test_what_carries_our_mark_already_is_refused_with_its_id(
    marker: MediaMarker, desk: Desk, photo: Path
) -> None:
    released = marker.mark(photo, MEDIA_ID, register=desk)
    with pytest.raises(MarkingError, match=MEDIA_ID.hex):
        marker.mark(released.path, OTHER_ID, register=desk)
    assert len(desk.released) == 1


def test_what_is_too_small_is_refused(marker: MediaMarker, desk: Desk, tmp_path: Path) -> None:
    small = tmp_path / "small.png"
    Image.fromarray(data.astronaut()[:200, :300]).save(small)
    with pytest.raises(MarkingError, match="300x200"):
        marker.mark(small, MEDIA_ID, register=desk)


def test_what_is_too_long_is_refused(keys: dict[str, Any], desk: Desk, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    write_video(clip, pan(12), fps=10)
    strict = MediaMarker(folder=tmp_path / "out", limits=MediaLimits(max_seconds=1.0), **keys)
    with pytest.raises(MediaError, match="s long"):
        strict.mark(clip, MEDIA_ID, register=desk)


def test_an_animated_picture_is_refused(marker: MediaMarker, desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "moving.gif"
    frames = [Image.fromarray(frame) for frame in pan(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(MarkingError, match="animated"):
        marker.mark(path, MEDIA_ID, register=desk)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n broken"])
def test_what_is_no_picture_is_refused(
    marker: MediaMarker, desk: Desk, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "upload.png"
    path.write_bytes(content)
    with pytest.raises(MediaError):
        marker.mark(path, MEDIA_ID, register=desk)


def test_cancelling_leaves_nothing(marker: MediaMarker, desk: Desk, phone_clip: Path) -> None:
    told: list[str] = []
    with pytest.raises(Cancelled):
        marker.mark(
            phone_clip,
            MEDIA_ID,
            register=desk,
            progress=lambda stage, _: told.append(stage),
            cancelled=lambda: len(told) >= 2,
        )
    assert told == ["mark", "mark"]
    assert list(marker.folder.iterdir()) == []
    assert desk.released == []


RATE = 44_100


def chords(seconds: float = 4.0, click: float | None = None) -> NDArray[np.float32]:
    """Struck chords that fade, float32 [2, N]; a click, where given, marks a moment."""
    time = np.arange(int(seconds * RATE)) / RATE
    tones = [(tone * k, k) for tone in (110, 138.6, 164.8, 220) for k in range(1, 24)]
    struck = sum(np.sin(2 * np.pi * tone * time) / k for tone, k in tones) * np.exp(-4 * time)
    sound = np.zeros(len(time))
    for start in range(0, len(time), RATE // 2):
        sound[start:] += struck[: len(time) - start]
    sound *= 0.2 / np.abs(sound).max()
    if click is not None:
        sound[round(click * RATE)] = 0.9
    return np.stack([sound, 0.7 * sound]).astype(np.float32)


@pytest.fixture
def music_clip(tmp_path: Path) -> Path:
    """A clip with music, whose sound track begins a quarter of a second late."""
    path = tmp_path / "music.mp4"
    silent = tmp_path / "silent.mp4"
    write_video(silent, pan(40), fps=10)
    with_timing_and_audio(silent, silent, path, Sound(chords(click=1.5), RATE, "", start=0.25))
    return path


def test_the_sound_of_a_clip_is_marked_and_named_in_the_manifest(
    marker: MediaMarker, desk: Desk, music_clip: Path
) -> None:
    released = marker.mark(music_clip, MEDIA_ID, register=desk)
    assert released.asset.marked.sound is not None
    heard = AudioDetector(marker.detector.rings).detect(*samples(released.path))
    assert (heard.media_id, heard.key_id) == (MEDIA_ID, released.record.key_id)
    bindings = read_manifest(released.path, marker.trust).bindings
    assert [(b.alg, b.media_id) for b in bindings] == [
        ("org.assay.mark.1", MEDIA_ID),
        ("org.assay.sound.1", MEDIA_ID),
    ]
    assert verdict(released.path, marker, desk) is Verdict.MADE_HERE


def samples(path: Path) -> tuple[NDArray[np.float32], int]:
    sound = read_sound(path)
    return sound.samples, sound.rate


def test_marked_sound_stays_in_step_with_the_picture(
    marker: MediaMarker, desk: Desk, music_clip: Path
) -> None:
    released = marker.mark(music_clip, MEDIA_ID, register=desk)
    before, after = read_sound(music_clip), read_sound(released.path)
    assert frame_times(released.path) == frame_times(music_clip)
    assert after.start == pytest.approx(before.start, abs=0.03)
    clicks = [sound.start + np.abs(sound.samples[0]).argmax() / sound.rate for sound in (before, after)]
    assert clicks[0] == pytest.approx(1.75, abs=0.005)
    assert clicks[1] == pytest.approx(clicks[0], abs=0.002)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".m4a"])
def test_a_sound_file_is_marked_signed_and_registered(
    marker: MediaMarker, desk: Desk, tmp_path: Path, suffix: str
) -> None:
    source = tmp_path / f"music{suffix}"
    write_sound(source, Sound(chords(), RATE, ""))
    released = marker.mark(source, MEDIA_ID, register=desk)
    assert released.path.suffix == suffix
    assert AudioDetector(marker.detector.rings).detect(*samples(released.path)).media_id == MEDIA_ID
    assert verdict(released.path, marker, desk) is Verdict.MADE_HERE
    with pytest.raises(MarkingError, match=MEDIA_ID.hex):
        marker.mark(released.path, OTHER_ID, register=desk)


def test_a_copy_of_marked_sound_is_heard_and_the_report_says_what_that_proves(
    marker: MediaMarker, desk: Desk, tmp_path: Path
) -> None:
    source, copy = tmp_path / "music.wav", tmp_path / "copy.mp3"
    write_sound(source, Sound(chords(), RATE, ""))
    released = marker.mark(source, MEDIA_ID, register=desk)
    write_sound(copy, read_sound(released.path))
    listener = AudioDetector(marker.detector.rings)
    evidence = inspect_media(
        copy, detector=marker.detector, trust=marker.trust, limits=MediaLimits(), listener=listener
    )
    assert evidence.sound is not None
    assert evidence.sound.media_id == MEDIA_ID
    report = judge(evidence, InMemoryRegistry([released.record]), now=marker.clock())
    assert any(f"mark {MEDIA_ID.hex} heard" in line.fact for line in report.explain)
    assert report.facts.record == released.record


def test_silence_and_moments_cannot_be_marked(marker: MediaMarker, desk: Desk, tmp_path: Path) -> None:
    for name, sound in (("silent", np.zeros((1, 3 * RATE), np.float32)), ("short", chords(0.5))):
        source = tmp_path / f"{name}.wav"
        write_sound(source, Sound(sound, RATE, ""))
        with pytest.raises(MarkingError, match="too short, silent or plain"):
            marker.mark(source, MEDIA_ID, register=desk)
    assert desk.released == []
