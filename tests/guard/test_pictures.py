"""Pictures: decoding within limits, and faces in them."""

from __future__ import annotations

import builtins
import hashlib
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from guard import BackendError, MtcnnFaces, Picture, PictureError, PictureLimits


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(buffer, "PNG")
    return buffer.getvalue()


def test_a_picture_knows_the_digest_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(40, 30))
    picture = Picture.from_file("reference", tmp_path / "a.png")
    assert picture.pixels.shape == (30, 40, 3)
    assert picture.sha256 == hashlib.sha256(png(40, 30)).hexdigest()


def test_turned_pictures_are_put_upright() -> None:
    image, buffer = Image.new("RGB", (40, 30)), io.BytesIO()
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(buffer, "JPEG", exif=exif)
    assert Picture.from_bytes("reference", buffer.getvalue()).pixels.shape == (40, 30, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a picture"),
        (b"GIF89a", "not a picture"),
        (png(40, 30)[:60], "not a picture"),
        (b"<svg/>", "not a picture"),
        (png(1, 1), "sides must be at least 8"),
        (png(2000, 2000), "pixels are read"),
        (b"x" * 70_000, "bytes; at most"),
    ],
    ids=["empty", "header", "cut", "svg", "one pixel", "large", "heavy"],
)
def test_what_is_no_picture_or_too_large_is_refused(content: bytes, message: str) -> None:
    limits = PictureLimits(max_bytes=65_536, max_pixels=1_000_000)
    with pytest.raises(PictureError, match=message):
        Picture.from_bytes("reference", content, limits=limits)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="cannot be read"):
        Picture.from_file("reference", tmp_path / "none.png")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2 * 2**30)  # sparse
    with pytest.raises(PictureError, match="at most"):
        Picture.from_file("reference", tmp_path / "huge")


def test_pixels_of_another_kind_are_refused() -> None:
    with pytest.raises(PictureError, match="uint8"):
        Picture("reference", np.zeros((4, 4), np.uint8), "")


@pytest.fixture(scope="module")
def faces() -> MtcnnFaces:
    return MtcnnFaces()


def test_a_face_is_found_where_it_is(faces: MtcnnFaces) -> None:
    picture = np.asarray(data.astronaut())
    found = max(faces.detect(picture), key=lambda face: face.probability)
    left, top, right, bottom = found.box
    assert found.probability > 0.99
    assert left < 225 < right  # the nose
    assert top < 125 < bottom
    doubled = max(faces.detect(picture.repeat(3, 0).repeat(3, 1)), key=lambda face: face.probability)
    assert np.allclose(np.array(doubled.box) / 3, found.box, atol=12)


def test_pictures_without_faces_have_none(faces: MtcnnFaces) -> None:
    coffee = [face for face in faces.detect(np.asarray(data.coffee())) if face.probability >= 0.9]
    assert coffee == []
    assert faces.detect(np.zeros((64, 64, 3), np.uint8)) == []
    assert faces.detect(np.zeros((8, 400, 3), np.uint8)) == []


def test_a_detector_that_is_not_installed_is_a_backend_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "facenet_pytorch":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "facenet_pytorch", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(BackendError, match="facenet-pytorch is not installed"):
        MtcnnFaces().detect(np.zeros((64, 64, 3), np.uint8))


def test_a_detector_that_fails_is_a_backend_error(faces: MtcnnFaces, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(image: object, landmarks: bool) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(faces, "_net", type("Net", (), {"detect": staticmethod(fail)})())
    with pytest.raises(BackendError, match="no memory"):
        faces.detect(np.zeros((64, 64, 3), np.uint8))
