"""Detectors and embedders load real files, from the operator's path, and say what is wrong with others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
from facenet_pytorch import InceptionResnetV1
from numpy.typing import NDArray
from skimage import data

from guard import BackendError, FaceDetection, MtcnnFaces
from guard.calibration import Calibration
from guard.facenet import FacenetEmbedder
from guard.gallery import Enrolled, FaceMatcher, new_gallery
from guard.model_file import ModelFile
from guard.opencv_faces import SfaceEmbedder, YunetFaces
from guard.templates import FaceReader, open_detector, open_embedder
from tests.guard import tiny_faces
from tests.guard.test_gallery import strangers
from tests.guard.tiny_faces import FACE, face, scene


@pytest.fixture(scope="module")
def net() -> Any:
    """InceptionResnetV1 with random weights, views of one small tensor, and statistics of a few faces."""
    drawn = torch.randn(3_000_000, generator=torch.Generator().manual_seed(0)) * 0.05
    with torch.device("meta"):
        made = InceptionResnetV1(pretrained=None, dropout_prob=0.0)
    found = {name: torch.zeros(value.shape, dtype=value.dtype) if "running" in name or value.ndim == 0
             else drawn[: value.numel()].view(value.shape)
             for name, value in made.state_dict().items()}  # fmt: skip
    made.load_state_dict(found, assign=True)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.inference_mode():
        made.train()(torch.cat([as_input(face(who)) for who in (5, 6, 7)]))
    return made.eval()


def as_input(pixels: NDArray[np.uint8]) -> torch.Tensor:
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    return (torch.nn.functional.interpolate(tensor, size=(160, 160), mode="bilinear") - 127.5) / 128.0


@pytest.fixture(scope="module")
def weights(net: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "vggface2.pt"
    logits = {
        "logits.weight": torch.zeros(9, 512),
        "logits.bias": torch.zeros(9),
    }  # published files have them
    torch.save({**net.state_dict(), **logits}, path)
    return path


@pytest.fixture(scope="module")
def facenet(weights: Path) -> FacenetEmbedder:
    found = open_embedder(weights)
    assert isinstance(found, FacenetEmbedder)
    return found


WHOLE = FaceDetection((0.0, 0.0, float(FACE), float(FACE)), 1.0)


def test_facenet_computes_what_the_network_computes(
    facenet: FacenetEmbedder, net: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guard.facenet._BATCH", 1)
    rows = facenet.embed(face(1), [WHOLE] * 2)  # two batches
    with torch.inference_mode():
        expected = net(as_input(face(1)))[0].numpy()
    assert rows.shape == (2, 512)
    assert np.allclose(rows @ expected, 1.0, atol=2e-2)
    (other,) = facenet.embed(face(2), [WHOLE])
    assert float(rows[0] @ other) < 0.9
    assert facenet.embed(face(1), []).shape == (0, 512)


def test_the_model_is_named_by_its_digest(facenet: FacenetEmbedder, weights: Path) -> None:
    digest = ModelFile.read(weights).sha256
    assert facenet.model_id == f"facenet-pytorch/inception-resnet-v1@{digest[:16]}"


def test_facenet_reads_safetensors(facenet: FacenetEmbedder, net: Any, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    half = {name: value.to(torch.float16 if value.is_floating_point() else value.dtype, copy=True)
            for name, value in net.state_dict().items()}  # fmt: skip
    safetensors.torch.save_file(half, path)
    again = open_embedder(path)
    (row,), (same,) = again.embed(face(1), [WHOLE]), facenet.embed(face(1), [WHOLE])
    assert float(row @ same) > 0.99
    assert again.model_id != facenet.model_id


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (Path("executed"), "x")


def test_what_are_no_weights_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    def refused(path: Path, reason: str) -> None:
        with pytest.raises(BackendError, match=reason):
            open_embedder(path)

    path = tmp_path / "model"
    refused(path, "cannot be read")
    path.write_bytes(b"")
    refused(path, "is empty")
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    refused(path, "Git LFS pointer")
    path.write_bytes(b"<html>not found</html>")
    refused(path, "not SFace as ONNX")
    torch.save({"conv.weight": torch.zeros(2)}, path)
    refused(path, "does not hold InceptionResnetV1")
    torch.save([1, 2], path)
    refused(path, "not a state dict")
    torch.save({"a": 1}, path)
    refused(path, "not a state dict of tensors")
    torch.save({"a": Evil()}, path)
    refused(path, "holds no weights that can be read")
    assert not Path("executed").exists()
    path.write_bytes(path.read_bytes()[:100])
    refused(path, "holds no weights that can be read")
    safetensors.torch.save_file({"a": torch.zeros(2)}, path)
    refused(path, "does not hold InceptionResnetV1")
    path.write_bytes(path.read_bytes()[:-1])
    refused(path, "holds no weights that can be read")
    with path.open("wb") as file:
        file.truncate(3 * 2**30)  # sparse
    refused(path, "is larger than")


def test_weights_of_nothing_but_zeros_are_refused(tmp_path: Path) -> None:
    path = tiny_faces.sface(tmp_path / "sface.onnx")
    model = onnx.load(str(path))
    model.graph.initializer[0].raw_data = bytes(len(model.graph.initializer[0].raw_data))
    path.write_bytes(model.SerializeToString())
    seen = open_detector(tiny_faces.yunet(tmp_path / "yunet.onnx")).detect(scene(1))
    with pytest.raises(BackendError, match="answers with zeros"):
        open_embedder(path).embed(scene(1), seen)


# ---------------------------------------------------------------- OpenCV


def test_yunet_finds_faces_with_landmarks_where_they_are(tmp_path: Path) -> None:
    detector = open_detector(tiny_faces.yunet(tmp_path / "yunet.onnx"))
    assert detector.detect(scene()) == []
    first, second = sorted(detector.detect(scene(1, 2)), key=lambda found: found.box)
    assert first.box == pytest.approx((48, 48, 176, 176), abs=0.5)
    assert second.box[0] == pytest.approx(first.box[0] + 2 * FACE, abs=0.5)
    assert first.probability == pytest.approx(0.99)
    eye, other = first.landmarks[:2]
    assert len(first.landmarks) == 5
    assert eye[0] < other[0]


def test_yunet_shrinks_large_pictures_and_answers_in_their_pixels(tmp_path: Path) -> None:
    detector = open_detector(tiny_faces.yunet(tmp_path / "yunet.onnx"))
    large = np.kron(scene(1, 2, 3, 4), np.ones((2, 2, 1), np.uint8)).astype(np.uint8)
    found = detector.detect(large)
    assert len(found) == 4
    assert min(face.box[0] for face in found) == pytest.approx(96, abs=2)


def test_opencv_models_that_are_others_are_refused(tmp_path: Path) -> None:
    sface, yunet = tiny_faces.sface(tmp_path / "s.onnx"), tiny_faces.yunet(tmp_path / "y.onnx")
    with pytest.raises(BackendError, match="YuNet"):
        open_detector(sface)
    with pytest.raises(BackendError, match="SFace"):
        open_embedder(yunet)
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(yunet.read_bytes()[:500])
    for opened in (open_detector, open_embedder):
        with pytest.raises(BackendError, match="cut"):
            opened(cut)
    assert isinstance(open_detector(yunet), YunetFaces)
    assert isinstance(open_embedder(sface), SfaceEmbedder)


def test_sface_needs_landmarks(tmp_path: Path) -> None:
    embedder = open_embedder(tiny_faces.sface(tmp_path / "s.onnx"))
    with pytest.raises(BackendError, match="five landmarks"):
        embedder.embed(face(1), [WHOLE])


# ---------------------------------------------------------------- from pixels to a pseudonym, MTCNN in front


class Once:
    """MTCNN, run once per picture: it is slow."""

    def __init__(self) -> None:
        self._inner = MtcnnFaces()
        self.model_id = self._inner.model_id
        self._found: dict[bytes, list[FaceDetection]] = {}

    def detect(self, pixels: NDArray[np.uint8]) -> list[FaceDetection]:
        key = pixels.tobytes()
        if key not in self._found:
            self._found[key] = self._inner.detect(pixels)
        return self._found[key]


def test_a_photograph_leads_to_a_pseudonym(weights: Path, tmp_path: Path) -> None:
    """With weights that know nothing, a copy of the enrolled photograph is all that can be recognised."""
    photo = np.ascontiguousarray(np.asarray(data.astronaut(), np.uint8)[:160, 150:310])
    copy = np.clip(photo.astype(np.float64) * 0.95 + 4, 0, 255).astype(np.uint8)
    detector = Once()
    (found,) = detector.detect(photo)
    assert len(found.landmarks) == 5
    assert all(
        found.box[0] < x < found.box[2] and found.box[1] < y < found.box[3] for x, y in found.landmarks
    )
    for path in (weights, tiny_faces.sface(tmp_path / "sface.onnx")):
        reader = FaceReader(detector, open_embedder(path))
        people = [Enrolled("collins", "public-domain portrait", reader.only_face(photo))]
        gallery = new_gallery(people, model_id=reader.model_id, key=bytes(32))
        others = strangers(400, reader.embedder.dimensions)
        pairs = (others @ others.T)[np.triu_indices(400, 1)]
        matcher = FaceMatcher(reader, gallery, Calibration.measure(reader.model_id, pairs))
        assert matcher.matched(copy, wrong_person_at_most=1e-4) == {"collins"}
