from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from PIL import Image
from skimage import data

from tests.watermark.conftest import MEDIA_ID, Frame, embed, make_ring, psnr
from watermark import Band, DetectionError, Detector, KeyRing, Mark, open_media, write_video
from watermark.geometry import Matrix, aligned, project
from watermark.search import search


def jpeg(frame: Frame, quality: int) -> Frame:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
    decoded: Frame = np.asarray(Image.open(buffer))
    return decoded


def crop(frame: Frame, share: float, x: float = 0.5, y: float = 0.5) -> Frame:
    height, width = (round(side * share) for side in frame.shape[:2])
    top, left = round((frame.shape[0] - height) * y), round((frame.shape[1] - width) * x)
    return frame[top : top + height, left : left + width]


def rotate(frame: Frame, degrees: float) -> Frame:
    height, width = frame.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    turned: Frame = np.asarray(cv2.warpAffine(frame, matrix, (width, height), flags=cv2.INTER_CUBIC))
    return turned


def brighten(frame: Frame, factor: float) -> Frame:
    bright: Frame = np.clip(frame * factor, 0, 255).round().astype(np.uint8)
    return bright


ATTACKS: dict[str, Callable[[Frame], Frame]] = {
    "identity": lambda f: f,
    "JPEG 50": lambda f: jpeg(f, 50),
    "half": lambda f: np.asarray(cv2.resize(f, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8),
    "crop 60": lambda f: crop(f, 0.6),
    "corner crop 60": lambda f: crop(f, 0.6, 1, 0),
    "mirror": lambda f: f[:, ::-1],
    "upside down": lambda f: f[::-1],
    "blur": lambda f: np.asarray(cv2.GaussianBlur(f, (0, 0), 2), np.uint8),
    "bright": lambda f: brighten(f, 1.3),
    "rotate 10": lambda f: rotate(f, 10),
    "rotate 45": lambda f: rotate(f, -45),
    "quarter turn": lambda f: np.rot90(f),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_message_survives(attack: str, marked_photo: Frame, detector: Detector) -> None:
    found = detector.detect([ATTACKS[attack](marked_photo)])
    assert found.media_id == MEDIA_ID
    assert found.key_id == "0.2"
    assert found.band is Band.DETECTED
    assert found.log10_p <= -6
    assert found.frames_read == 1


def test_the_message_survives_h264(marked_clip: Frame, detector: Detector, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_video(path, marked_clip, fps=24, crf=28)
    found = detector.detect(open_media(path).frames())
    assert found.media_id == MEDIA_ID
    assert found.frames_read == len(marked_clip)


@pytest.mark.parametrize("attack", ["crop 60", "corner crop 60", "mirror", "rotate 10", "quarter turn"])
def test_the_geometry_is_within_two_pixels(attack: str, marked_photo: Frame, detector: Detector) -> None:
    found = detector.detect([ATTACKS[attack](marked_photo)])
    assert found.geometry is not None
    truth = _truth(attack) @ aligned(512, 512)
    corners = np.array([[-15.0, -15.0], [15.0, -15.0], [15.0, 15.0], [-15.0, 15.0]])
    error = project(found.geometry.canonical_to_pixels, corners) - project(truth, corners)
    assert np.abs(error).max() < 2  # of 512; the pilot alone places the picture
    assert found.geometry.mirrored == (attack == "mirror")


def _truth(attack: str) -> Matrix:
    """Pixels of the marked picture to pixels of the attacked one."""
    match attack:
        case "crop 60":
            return np.array([[1, 0, -102], [0, 1, -102], [0, 0, 1.0]])
        case "corner crop 60":
            return np.array([[1, 0, -205], [0, 1, 0], [0, 0, 1.0]])
        case "mirror":
            return np.array([[-1, 0, 511], [0, 1, 0], [0, 0, 1.0]])
        case "quarter turn":
            return np.array([[0, 1, 0], [-1, 0, 511], [0, 0, 1.0]])
    return np.vstack([cv2.getRotationMatrix2D((255.5, 255.5), 10, 1), [0, 0, 1]])


def saturated(frame: Frame) -> Frame:
    hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
    hsv[..., 1] = np.minimum(hsv[..., 1].astype(int) * 3, 255)
    vivid: Frame = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
    return vivid


HARD_PICTURES: dict[str, Callable[[Frame], Frame]] = {
    "portrait": lambda f: np.ascontiguousarray(f[:, 100:388]),
    "256 pixels": lambda f: np.asarray(cv2.resize(f, (256, 256), interpolation=cv2.INTER_AREA), np.uint8),
    "dark": lambda f: (f * 0.1).astype(np.uint8),
    "saturated": saturated,
    "flat": lambda f: np.full_like(f, 120),
    "grey": lambda f: np.repeat(f[..., 1:2], 3, axis=2),
}


@pytest.mark.parametrize("name", HARD_PICTURES)
def test_pictures_of_all_kinds_carry_the_mark_through_jpeg(name: str, photo: Frame, ring: KeyRing) -> None:
    picture = HARD_PICTURES[name](photo)
    marked = embed(picture, Mark(ring.subkey(2), MEDIA_ID))
    assert psnr(picture, marked) >= 42
    assert Detector([ring]).detect([jpeg(marked, 75)]).media_id == MEDIA_ID


def test_ten_bits_of_wide_colour_are_read(marked_photo: Frame, detector: Detector, tmp_path: Path) -> None:
    """HEVC, ten bits, BT.2020 with the PQ curve (BT.2100): code values are read as they stand."""
    path = tmp_path / "hdr.mkv"
    with av.open(str(path), "w") as container:
        # Without B-frames: x265 gives clips of two frames times that a muxer may refuse.
        options = {"x265-params": "log-level=none:bframes=0", "crf": "20", "preset": "veryfast"}
        stream: Any = container.add_stream("libx265", rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = 512, 512, "yuv420p10le"
        codec = stream.codec_context
        codec.color_primaries, codec.color_trc, codec.colorspace = 9, 16, 9  # ITU-T H.273
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(marked_photo), format="rgb24")
        for time in range(2):
            wide = frame.reformat(format="yuv420p10le", dst_colorspace=Colorspace.BT2020)
            wide.pts = time
            container.mux(stream.encode(wide))
        container.mux(stream.encode())
    assert detector.detect(open_media(path).frames()).media_id == MEDIA_ID


def test_unmarked_pictures_and_other_keys_show_nothing(
    photo: Frame, marked_photo: Frame, detector: Detector
) -> None:
    stranger = Detector([make_ring("stranger", subkeys=16)])
    for found in (
        detector.detect([photo]),
        stranger.detect([marked_photo]),
        detector.detect([data.chelsea()]),
    ):
        assert found.band is Band.NONE
        assert not found.found
        assert (found.media_id, found.key_id, found.geometry) == (None, None, None)
        assert found.log10_p > -3


def test_the_pilot_alone_means_nothing(photo: Frame, ring: KeyRing, detector: Detector) -> None:
    """A picture with the ring's pilot and a payload of keys that the ring does not know."""
    foreign = Mark(make_ring("foreign").subkey(0), MEDIA_ID)
    key = type(foreign.key)(0, 0, ring.pilot_seed, foreign.key.payload_seed)
    found = detector.detect([embed(photo, Mark(key, MEDIA_ID))])
    assert not found.found
    assert found.band is Band.NONE


def test_several_epochs_are_tried(photo: Frame) -> None:
    old, new = make_ring("r", epoch=1), make_ring("r", epoch=2)
    found = Detector([new, old]).detect([crop(embed(photo, Mark(old.subkey(3), MEDIA_ID)), 0.7)])
    assert found.media_id == MEDIA_ID
    assert found.key_id == "1.3"


@pytest.mark.parametrize(
    "frames",
    [[], [np.zeros((8, 8, 3), np.uint8)], [np.zeros((64, 64), np.uint8)], [np.zeros((64, 64, 3), np.float32)],
     [np.zeros((64, 64, 3), np.uint8), np.zeros((64, 80, 3), np.uint8)]],
    ids=["none", "tiny", "grey", "float", "two sizes"],
)  # fmt: skip
def test_what_is_no_picture_is_refused(frames: list[Frame], detector: Detector) -> None:
    with pytest.raises(DetectionError):
        detector.detect(frames)


def test_a_detector_needs_a_ring() -> None:
    with pytest.raises(DetectionError):
        Detector([])


@pytest.mark.parametrize("shape", [(16, 16), (40, 1200), (700, 90), (256, 256)])
def test_odd_shapes_and_flat_pictures_are_examined(shape: tuple[int, int], detector: Detector) -> None:
    assert not detector.detect([np.full((*shape, 3), 90, np.uint8)]).found


def test_hue_turned_over_is_read(marked_photo: Frame, detector: Detector) -> None:
    """A quarter turn of hue reverses blue difference in many pictures: the pilot says so."""
    hsv = cv2.cvtColor(marked_photo, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + 45) % 180
    assert detector.detect([np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)]).media_id == MEDIA_ID


def test_a_stretched_picture_is_found(marked_photo: Frame, detector: Detector) -> None:
    wide = np.asarray(cv2.resize(marked_photo, (563, 512), interpolation=cv2.INTER_CUBIC), np.uint8)
    found = detector.detect([wide])
    assert found.media_id == MEDIA_ID
    assert found.geometry is not None
    assert found.geometry.canonical_to_pixels[0, 0] == pytest.approx(563 / 64, rel=0.01)


def test_the_first_frames_of_a_pan_are_read(marked_clip: Frame, detector: Detector, tmp_path: Path) -> None:
    """Motion compensation drags the mark along with the picture; only what an encoder draws afresh has it
    where it was written.
    """
    path = tmp_path / "pan.mp4"
    write_video(path, marked_clip, fps=24, crf=28, preset="veryfast")
    assert detector.detect(open_media(path).frames()).media_id == MEDIA_ID


def test_a_grey_picture_is_judged_by_luma_alone(marked_photo: Frame, detector: Detector) -> None:
    grey = np.asarray(cv2.cvtColor(marked_photo, cv2.COLOR_RGB2GRAY), np.uint8)
    assert detector.detect([np.repeat(grey[..., None], 3, axis=2)]).media_id == MEDIA_ID


def test_a_tenants_mark_is_read_with_its_ring_alone_and_searched_for_once(
    photo: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = make_ring("tenants")
    tenants = [ring.for_tenant(name) for name in ("a", "b", "c")]
    marked = np.ascontiguousarray(embed(photo, Mark(tenants[1].subkey(0), MEDIA_ID))[40:470, 30:490])
    searched: list[bytes] = []

    def counted(maps: Any, pilot_seed: bytes, picks: int) -> Any:
        searched.append(pilot_seed)
        return search(maps, pilot_seed, picks)

    monkeypatch.setattr("watermark.detect.search", counted)
    assert Detector(tenants).detect([marked]).media_id == MEDIA_ID
    assert searched == [ring.pilot_seed]
    assert not Detector([ring, tenants[0]]).detect([marked]).found
