"""Labels of our own files, as other people's readers find them, and that nothing but metadata changes."""

from __future__ import annotations

import io
import json
import wave
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from defusedxml import ElementTree
from PIL import Image, ImageSequence

from provenance import (
    C2paState,
    ManifestError,
    ManifestFacts,
    SigningError,
    SigningKey,
    SourceType,
    TrustAnchors,
    read_labels,
    read_manifest,
    sign_asset,
)
from provenance.boxes import top_level_boxes
from provenance.labelling import AigcLabel, write_labels

LABEL = AigcLabel(producer="00191110108MA01KP2T5U", produce_id="0123456789ab")
AI = str(SourceType.TRAINED_ALGORITHMIC)
PICTURES = ("image/png", "image/jpeg", "image/webp", "image/avif")
CLIPS = ("video/mp4", "video/quicktime")


def _pixels(path: Path) -> list[bytes]:
    if path.suffix in (".mp4", ".mov"):
        with av.open(str(path)) as clip:
            return [frame.to_ndarray(format="rgb24").tobytes() for frame in clip.decode(video=0)]
    with Image.open(path) as picture:
        return [frame.convert("RGB").tobytes() for frame in ImageSequence.Iterator(picture)]


def _properties(packet: bytes) -> dict[str, str]:
    root = ElementTree.fromstring(packet[packet.index(b"<x:xmpmeta") : packet.index(b"<?xpacket end")])
    return {child.tag: child.text or "" for child in root.iter() if child.text}


def _label(source: Path, target: Path, mime: str, aigc: AigcLabel | None = LABEL) -> Path:
    write_labels(source, target, mime, source_type=AI, aigc=aigc)
    return target


@pytest.mark.parametrize("mime", PICTURES)
def test_a_second_label_joins_the_first(mime: str, media: dict[str, Path], tmp_path: Path) -> None:
    first = _label(media[mime], tmp_path / f"first{media[mime].suffix}", mime, None)
    second = _label(first, tmp_path / f"second{media[mime].suffix}", mime)
    assert _pixels(second) == _pixels(media[mime])
    with Image.open(second) as picture:
        picture.load()
        packet = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp")
    text = packet if isinstance(packet, bytes) else str(packet).encode()
    assert text.count(b"Iptc4xmpExt:DigitalSourceType>") == 4
    assert dict(read_labels(second).aigc)["ProduceID"] == "0123456789ab"


@pytest.mark.parametrize("mime", PICTURES)
def test_pictures_carry_both_labels_in_xmp(mime: str, media: dict[str, Path], tmp_path: Path) -> None:
    source = media[mime]
    target = _label(source, tmp_path / source.name, mime)
    with Image.open(target) as picture:
        picture.load()
        packet = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp")
    assert packet is not None
    stated = _properties(packet if isinstance(packet, bytes) else packet.encode())
    assert stated["{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"] == AI
    assert json.loads(stated["{http://www.tc260.org.cn/ns/AIGC/1.0/}AIGC"]) == {
        "Label": "1",
        "ContentProducer": "00191110108MA01KP2T5U",
        "ProduceID": "0123456789ab",
        "ReservedCode1": "",
        "ContentPropagator": "",
        "PropagateID": "",
        "ReservedCode2": "",
    }
    assert _pixels(target) == _pixels(source)
    labels = read_labels(target)
    assert labels.source_type == "trainedAlgorithmicMedia"
    assert dict(labels.aigc)["ContentProducer"] == "00191110108MA01KP2T5U"


@pytest.mark.parametrize("faststart", [False, True], ids=["index last", "index first"])
@pytest.mark.parametrize("mime", CLIPS)
def test_clips_carry_the_key_and_an_xmp_box(
    mime: str, faststart: bool, media: dict[str, Path], tmp_path: Path
) -> None:
    source = media[mime]
    if faststart:
        source = _remuxed(source, tmp_path / f"fast{source.suffix}", {"movflags": "faststart"})
    target = _label(source, tmp_path / source.name.replace("clip", "labelled").replace("fast", "out"), mime)
    with av.open(str(target)) as clip:
        assert json.loads(clip.metadata["AIGC"])["ProduceID"] == "0123456789ab"
    assert _pixels(target) == _pixels(source)
    assert [box.kind for box in top_level_boxes(target)][-1] == b"uuid"
    assert read_labels(target).source_type == "trainedAlgorithmicMedia"


def _remuxed(source: Path, target: Path, options: dict[str, str]) -> Path:
    with av.open(str(source)) as reading, av.open(str(target), "w", options=options) as writing:
        writing.metadata["comment"] = "words of others"
        stream = writing.add_stream_from_template(reading.streams.video[0])
        for packet in reading.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                writing.mux(packet)
    return target


def test_a_fragmented_clip_keeps_its_index_last(media: dict[str, Path], tmp_path: Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov"}
    source = _remuxed(media["video/mp4"], tmp_path / "fragments.mp4", options)
    target = _label(source, tmp_path / "labelled.mp4", "video/mp4")
    kinds = [box.kind for box in top_level_boxes(target)]
    assert kinds[-2:] == [b"uuid", b"mfra"]
    assert _pixels(target) == _pixels(source)
    assert dict(read_labels(target).aigc)["Label"] == "1"


def _wav(folder: Path) -> Path:
    path = folder / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.arange(4001, dtype=np.int16).tobytes())
    return path


def _sound(folder: Path, codec: str, suffix: str) -> Path:
    path = folder / f"tone.{suffix}"
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=44100, layout="mono")
        wide = "s16" if suffix == "flac" else "fltp"
        samples = np.zeros((1, 44100), np.int16 if wide == "s16" else np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format=wide, layout="mono")
        frame.rate = 44100
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)
    return path


def test_wav_gets_chunks_that_players_skip(tmp_path: Path) -> None:
    source = _wav(tmp_path)
    target = _label(source, tmp_path / "out.wav", "audio/wav")
    with wave.open(str(source)) as before, wave.open(str(target)) as after:
        assert after.readframes(9999) == before.readframes(9999)
    content = target.read_bytes()
    assert int.from_bytes(content[4:8], "little") == len(content) - 8
    assert content.index(b"_PMX") > content.index(b"data")
    assert read_labels(target).claims_ai


@pytest.mark.parametrize(
    ("codec", "suffix", "mime"), [("mp3", "mp3", "audio/mpeg"), ("flac", "flac", "audio/flac")]
)
def test_sound_files_carry_the_label_as_a_text_field(
    codec: str, suffix: str, mime: str, tmp_path: Path
) -> None:
    source = _sound(tmp_path, codec, suffix)
    target = _label(source, tmp_path / f"out.{suffix}", mime)
    with av.open(str(target)) as sound:
        assert json.loads(sound.metadata["AIGC"])["Label"] == "1"
        assert sum(frame.samples for frame in sound.decode(audio=0)) >= 44100
    assert read_labels(target).source_type == "trainedAlgorithmicMedia"


def test_what_was_said_before_is_kept(media: dict[str, Path], tmp_path: Path) -> None:
    packet = (
        b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        b'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:source>ours</dc:source></rdf:Description></rdf:RDF>'
        b'</x:xmpmeta><?xpacket end="w"?>'
    )
    for suffix, name, mime in (("jpg", "JPEG", "image/jpeg"), ("webp", "WEBP", "image/webp")):
        source = tmp_path / f"in.{suffix}"
        Image.open(media["image/png"]).save(source, name, xmp=packet)
        target = _label(source, tmp_path / f"out.{suffix}", mime)
        content = target.read_bytes()
        assert content.count(b"<x:xmpmeta") == 1
        assert b"<dc:source>ours</dc:source>" in content
        assert read_labels(target).claims_ai


@pytest.mark.parametrize("lossless", [False, True])
def test_webp_without_an_extended_header_gets_one(
    lossless: bool, media: dict[str, Path], tmp_path: Path
) -> None:
    source = tmp_path / "in.webp"
    Image.open(media["image/png"]).convert("RGBA").save(source, "WEBP", lossless=lossless)
    target = _label(source, tmp_path / "out.webp", "image/webp")
    with Image.open(source) as before, Image.open(target) as after:
        assert (after.size, after.mode, after.tobytes()) == (before.size, before.mode, before.tobytes())


@pytest.mark.parametrize("mime", [*PICTURES, *CLIPS])
def test_a_signed_file_carries_its_labels_under_the_signature(
    mime: str,
    media: dict[str, Path],
    tmp_path: Path,
    facts: ManifestFacts,
    key: SigningKey,
    trust: TrustAnchors,
) -> None:
    source = media[mime]
    stated = replace(facts, mime=mime, aigc_producer="studio")
    signed = sign_asset(source, tmp_path / source.name, stated, key, trust=trust)
    labels = read_labels(signed.path)
    assert labels.source_type == "trainedAlgorithmicMedia"
    assert dict(labels.aigc)["ProduceID"] == facts.media_id.hex
    assert _pixels(signed.path) == _pixels(source)
    content = signed.path.read_bytes().replace(b"trainedAlgorithmicMedia</Ip", b"digitalCaptureeeeeeeeee</Ip")
    signed.path.write_bytes(content)
    assert read_manifest(signed.path, trust).state is C2paState.INVALID
    assert list(tmp_path.iterdir()) == [signed.path]


def test_a_file_that_ai_had_no_part_in_gets_no_label(
    media: dict[str, Path], tmp_path: Path, facts: ManifestFacts, key: SigningKey, trust: TrustAnchors
) -> None:
    from provenance import Input

    source = media["image/png"]
    stated = replace(facts, source_type=None, parent=Input(source, "image/png"), aigc_producer="studio")
    signed = sign_asset(source, tmp_path / "out.png", stated, key, trust=trust)
    assert not read_labels(signed.path).aigc
    assert b"xmpmeta" not in signed.path.read_bytes()


@pytest.mark.parametrize(
    ("mime", "content"),
    [
        ("image/jpeg", b"\xff\xd8"),
        ("image/png", b"\x89PNG\r\n\x1a\n"),
        ("image/webp", b"RIFF\x04\0\0\0WEBP"),
        ("image/avif", b"\0\0\0\x10ftypavif\0\0\0\0"),
        ("video/mp4", b"\0\0\0\x10ftypisom\0\0\0\0"),
        ("video/mp4", b"\0\0\0\x08moov\0\0\0\0mdat"),
        ("audio/wav", b"RIFF\0\0\0\0WAVE"),
        ("audio/mpeg", b"ID3\x02\0\0\0\0\0\0"),
        ("audio/flac", b"fLaC\x80\0\0\0"),
        ("text/plain", b"words"),
    ],
)
def test_files_that_do_not_fit_are_refused(mime: str, content: bytes, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.write_bytes(content)
    with pytest.raises(SigningError, match="cannot be labelled"):
        _label(source, tmp_path / "out", mime)


@pytest.mark.parametrize(
    ("field", "value"), [("producer", ""), ("producer", 'a "b'), ("produce_id", "制作"), ("label", "4")]
)
def test_labels_that_the_standard_does_not_allow(field: str, value: str) -> None:
    with pytest.raises(ManifestError, match="AIGC label"):
        replace(LABEL, **{field: value})


def test_exif_stays_in_front_of_the_packet(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "description"
    target = io.BytesIO()
    Image.new("RGB", (64, 64)).save(target, "JPEG", exif=exif)
    source = tmp_path / "in.jpg"
    source.write_bytes(target.getvalue())
    out = _label(source, tmp_path / "out.jpg", "image/jpeg")
    with Image.open(out) as picture:
        assert picture.getexif()[0x010E] == "description"
