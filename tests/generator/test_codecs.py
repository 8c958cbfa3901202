"""Every codec and container of a released file: the marks read back, the manifest is intact, and a player
need not wait for the end of the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import pytest

from generator import Codec, MediaFormat, Request, RequestError, SafeGenerator
from generator.codecs import ENCODERS
from generator.systems import system_named
from provenance import read_manifest
from provenance.boxes import top_level_boxes
from tests.generator.conftest import MEDIA_ID, Desk
from tests.generator.test_pipeline import CLIP, PICTURE
from watermark import open_media


@pytest.mark.parametrize(
    ("codec", "suffix", "mime", "name", "tag", "pixels"),
    [
        (Codec.HEVC, ".mp4", "video/mp4", "hevc", "hvc1", "yuv420p"),
        (Codec.AV1, ".mp4", "video/mp4", "av1", "av01", "yuv420p10le"),
        (Codec.PRORES, ".mov", "video/quicktime", "prores", "apch", "yuv422p10le"),
    ],
)
def test_a_clip_carries_mark_and_manifest_in_every_codec(
    safe_wan: SafeGenerator,
    desk: Desk,
    codec: Codec,
    suffix: str,
    mime: str,
    name: str,
    tag: str,
    pixels: str,
) -> None:
    released = safe_wan.generate(replace(CLIP, codec=codec), MEDIA_ID, register=desk)
    assert (released.path.suffix, released.asset.facts.mime) == (suffix, mime)
    with av.open(str(released.path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name.replace("libdav1d", "av1"), context.codec_tag) == (name, tag)
        assert context.format.name == pixels
    media = open_media(released.path)
    assert (media.mime, media.frame_count, media.fps) == (mime, 5, 12)
    assert safe_wan.detector.detect(media.frames()).media_id == MEDIA_ID
    report = read_manifest(released.path, safe_wan.trust)
    assert report.state.intact
    assert in_front(released.path)


def in_front(path: Path) -> bool:
    """Whether the index and the manifest lie before the pictures."""
    boxes = [box.kind for box in top_level_boxes(path)]
    return boxes.index(b"moov") < boxes.index(b"mdat") and boxes.index(b"uuid") < boxes.index(b"mdat")


def test_the_usual_clip_is_h264_with_its_index_in_front(safe_wan: SafeGenerator, desk: Desk) -> None:
    released = safe_wan.generate(CLIP, MEDIA_ID, register=desk)
    with av.open(str(released.path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
    assert in_front(released.path)


def test_a_picture_in_avif(safe_image: SafeGenerator, desk: Desk) -> None:
    released = safe_image.generate(replace(PICTURE, format=MediaFormat.AVIF), MEDIA_ID, register=desk)
    assert (released.path.suffix, released.asset.facts.mime) == (".avif", "image/avif")
    assert safe_image.detector.detect(open_media(released.path).frames()).media_id == MEDIA_ID
    assert read_manifest(released.path, safe_image.trust).state.intact


def test_every_codec_has_its_encoder_here() -> None:
    for codec in Codec:
        assert av.codec.Codec(ENCODERS[codec].name, "w").is_encoder


@pytest.mark.parametrize(
    ("codec", "wanted", "words"),
    [
        (Codec.PRORES, MediaFormat.MP4, "prores goes into mov"),
        (Codec.AV1, MediaFormat.MOV, "av1 goes into mp4"),
        (Codec.H264, MediaFormat.PNG, "a png file has none"),
    ],
)
def test_a_codec_that_does_not_fit_its_container_is_refused(
    codec: Codec, wanted: MediaFormat, words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        Request(prompt="a boat", codec=codec, format=wanted)


def test_a_codec_chooses_its_container_and_pictures_have_none() -> None:
    spec = system_named("wan2.1-t2v-1.3b")
    asked = replace(CLIP, width=832, height=480)
    assert spec.complete(replace(asked, codec=Codec.PRORES)).format is MediaFormat.MOV
    assert spec.complete(asked).codec is Codec.H264
    assert spec.complete(replace(asked, frames=1, format=MediaFormat.PNG)).codec is None


def test_what_a_provider_made_stays_h264() -> None:
    spec = system_named("sora-2")
    with pytest.raises(RequestError, match="makes h264, not av1"):
        spec.complete(Request(prompt="a boat", codec=Codec.AV1))
