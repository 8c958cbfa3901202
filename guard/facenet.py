"""InceptionResnetV1 (facenet-pytorch) as embedder, with weights that the operator brings.

Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning", 2016;
Schroff et al., "FaceNet", 2015. The package holds the network; nothing is downloaded. Weights are a state
dict: `20180402-114759-vggface2.pt` and `20180408-102900-casia-webface.pt` as facenet-pytorch publishes them,
or the same tensors as safetensors. A .pt file is read with `weights_only`, which builds tensors and nothing
else.
"""

from __future__ import annotations

import io
import pickle
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.errors import BackendError
from guard.faces import FaceDetection
from guard.model_file import ModelFile
from guard.templates import Templates, unit_rows

SIDE: Final = 160  # pixels of a crop, as in training
MARGIN: Final = 14  # of them around the detector's box; facenet-pytorch's evaluation on LFW uses it
_BATCH: Final = 16  # faces at once; bounds memory on pictures of crowds
_MAGICS: Final = (b"PK\x03\x04", b"\x80\x02")  # torch.save, as it is and as it was before version 1.6


def is_facenet(data: bytes) -> bool:
    """True where `data` begins as a state dict of torch or a safetensors file does, not as ONNX."""
    return data.startswith(_MAGICS) or data[8:9] == b"{"


class FacenetEmbedder:
    """Embeds crops of faces; on the CPU."""

    dimensions: Final = 512

    def __init__(self, model: ModelFile) -> None:
        """Loads the network. Raises `BackendError` where the file does not hold its weights."""
        self.model_id = model.model_id("facenet-pytorch/inception-resnet-v1")
        self._lock = threading.Lock()
        self._net = _network(model)

    def embed(self, pixels: NDArray[np.uint8], faces: Sequence[FaceDetection]) -> Templates:
        """Returns float32 [faces, 512] of unit length. Raises `BackendError` where it cannot run."""
        import torch

        rows: list[NDArray[np.floating]] = []
        try:
            with self._lock, torch.inference_mode():
                for start in range(0, len(faces), _BATCH):
                    crops = np.stack([_crop(pixels, face) for face in faces[start : start + _BATCH]])
                    batch = torch.from_numpy(crops).permute(0, 3, 1, 2)
                    rows += [*self._net((batch - 127.5) / 128.0).numpy()]
        except (RuntimeError, cv2.error) as error:
            raise BackendError(f"the face embedder failed: {error}") from error
        return unit_rows(rows, self.dimensions)


def _crop(pixels: NDArray[np.uint8], face: FaceDetection) -> NDArray[np.float32]:
    """Returns the box and a margin, float32 [SIDE, SIDE, 3] in [0, 255]; the margin ends at the picture."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = face.box
    across, down = (
        (end - start) * MARGIN / (SIDE - MARGIN) / 2 for start, end in ((left, right), (top, bottom))
    )
    x0, x1 = max(0, int(left - across)), min(width, int(right + across) + 1)
    y0, y1 = max(0, int(top - down)), min(height, int(bottom + down) + 1)
    crop = cv2.resize(pixels[y0:y1, x0:x1], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(crop, np.float32)


def _network(model: ModelFile) -> Any:
    try:
        from facenet_pytorch import InceptionResnetV1
    except ImportError as error:
        raise BackendError(
            "facenet-pytorch is not installed; pip install --no-deps facenet-pytorch"
        ) from error
    import torch

    weights = {name: value for name, value in _state_dict(model).items() if not name.startswith("logits.")}
    if not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise BackendError(f"{model.path} is not a state dict of tensors")
    with torch.device("meta"):  # the drawn initial weights would cost a second and are thrown away
        net = InceptionResnetV1(pretrained=None)
    try:
        net.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise BackendError(f"{model.path} does not hold InceptionResnetV1: {reason}") from error
    return net.eval().float()


def _state_dict(model: ModelFile) -> Mapping[str, Any]:
    import safetensors
    import safetensors.torch
    import torch

    try:
        if model.data[8:9] == b"{":
            return dict(safetensors.torch.load(model.data))
        found = torch.load(io.BytesIO(model.data), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, safetensors.SafetensorError, RuntimeError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split())[:300]
        raise BackendError(f"{model.path} holds no weights that can be read: {reason}") from error
    if not isinstance(found, Mapping):
        raise BackendError(f"{model.path} is not a state dict of tensors")
    return found
