"""Texts and pictures by an image-text model (CLIP, Radford et al. 2021) that the operator brings: open_clip.

`ClipModel` reads a folder with `open_clip_config.json` and weights as safetensors, as open_clip's own
`push_to_hf_hub` writes them; nothing is ever fetched, and pickled weights are refused. `ClipIdeas` puts the
text tower behind `idea:` conditions, `ClipPictures` both towers behind `shows:` conditions: zero-shot, so
that a policy may name anything in words.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from guard.ambiguity import everyday_texts
from guard.errors import BackendError
from guard.ideas import IDEAS, IdeaBackend
from guard.model import Certainty

CONFIG = "open_clip_config.json"
Rows = NDArray[np.float32]
_MAX_CONFIG_BYTES = 1 << 20
_BATCH = 64  # texts encoded at once
_CACHED = 256  # prompts and pictures whose embeddings are kept; the rules of a policy ask for the same

# Of harmless everyday prompts, the share that an idea may be seen in by mistake. Scores of unrelated texts
# are close to normally distributed, so rates beyond the number of prompts follow from mean and deviation.
FALSE_POSITIVES: Mapping[Certainty, float] = {
    Certainty.SURE: 0.0005,
    Certainty.LIKELY: 0.005,
    Certainty.POSSIBLE: 0.02,
}
# Probability of what is asked for, against calm descriptions of any picture.
PICTURE_PROBABILITY: Mapping[Certainty, float] = {
    Certainty.SURE: 0.95,
    Certainty.LIKELY: 0.80,
    Certainty.POSSIBLE: 0.50,
}
_OTHERWISE = (
    "a photo", "a photo of a person", "a photo of people", "a landscape", "a city street", "a room",
    "an animal", "food on a table", "an object", "a drawing", "a painting", "text on a plain background",
)  # fmt: skip
_SMALLEST_DEVIATION = 1e-6  # of harmless texts that a model cannot tell apart
_ASKED = ("{}", "a photo of {}", "a picture of {}", "a scene with {}")


class ClipModel:
    """One image-text model on one device. Safe to share between threads."""

    def __init__(self, folder: Path, *, device: str = "cpu") -> None:
        """Loads the model in `folder`.

        Raises `BackendError` where files are missing, would need the network, or do not fit each other.
        """
        weights = _weights_in(folder)
        self.model_id = f"open_clip/{folder.name}@{_digest(weights)[:12]}"
        try:
            import open_clip  # imported late: it takes a second, and most policies do not ask for it

            name = f"local-dir:{folder}"
            model, _, prepare = open_clip.create_model_and_transforms(
                name, device=device, pretrained_text=False, weights_only=True, output_dict=False
            )
            self._model: Any = model.eval()
            self._prepare: Any = prepare
            self._tokenise: Any = open_clip.get_tokenizer(name)
        except Exception as error:  # open_clip raises what torch, json and tokenizers do
            raise BackendError(f"{folder} does not load as an open_clip model: {error}") from error
        self._device = device
        self._lock = threading.Lock()

    @property
    def scale(self) -> float:
        """What cosines are multiplied by before a softmax, as trained."""
        return float(self._model.logit_scale.detach().exp())

    def texts(self, texts: Sequence[str]) -> Rows:
        """Returns embeddings float32 [texts, D] of length 1. Raises `BackendError` where the model fails."""
        import torch

        try:
            with self._lock, torch.inference_mode():
                found = [
                    self._model.encode_text(
                        self._tokenise(list(texts[at : at + _BATCH])).to(self._device), normalize=True
                    )
                    for at in range(0, len(texts), _BATCH)
                ]
                return _checked(torch.cat(found))
        except (RuntimeError, ValueError, IndexError) as error:
            raise BackendError(f"{self.model_id} could not read a text: {error}") from error

    def picture(self, pixels: NDArray[np.uint8]) -> Rows:
        """Returns the embedding float32 [D], of length 1, of uint8 [H, W, 3] sRGB. Raises `BackendError`."""
        import torch

        try:
            with self._lock, torch.inference_mode():
                image = self._prepare(Image.fromarray(pixels))[None].to(self._device)
                return np.asarray(_checked(self._model.encode_image(image, normalize=True))[0])
        except (RuntimeError, ValueError) as error:
            raise BackendError(f"{self.model_id} could not look at a picture: {error}") from error


class ClipIdeas:
    """`idea:` conditions by the text tower: a text is about an idea where it is nearer to it than harmless
    everyday prompts are. Takes any words; the ideas of the embedded classifier are spelt out."""

    def __init__(
        self, model: ClipModel, harmless: Sequence[str] | None = None, *, beside: IdeaBackend | None = None
    ) -> None:
        """Measures `harmless` texts (by default, those that come with the package) as the yardstick.

        Of the ideas that `beside` knows, a text is also about those that `beside` sees.
        """
        self._model = model
        self._beside = beside
        self._harmless = model.texts(everyday_texts() if harmless is None else harmless)
        self._idea = lru_cache(maxsize=_CACHED)(self._find_idea)
        self._text = lru_cache(maxsize=_CACHED)(self._find_text)

    @property
    def model_id(self) -> str:
        """Names the model and its version, for decisions."""
        return self._model.model_id + (f" and {self._beside.model_id}" if self._beside else "")

    @property
    def ideas(self) -> frozenset[str]:
        """The ideas that are spelt out; others are taken as they stand."""
        return frozenset(IDEAS)

    def holds(self, text: str, idea: str, certainty: Certainty) -> bool:
        """True where `text` is about `idea`. Raises `BackendError` where the model fails."""
        if self._beside and idea in self._beside.ideas and self._beside.holds(text, idea, certainty):
            return True
        return self.score(text, idea) > NormalDist().inv_cdf(1 - FALSE_POSITIVES[certainty])

    def score(self, text: str, idea: str) -> float:
        """Returns how much nearer `text` is to `idea` than harmless ones, in their standard deviations."""
        direction, mean, deviation = self._idea(idea)
        return (float(self._text(text) @ direction) - mean) / max(deviation, _SMALLEST_DEVIATION)

    def _find_text(self, text: str) -> Rows:
        return np.asarray(self._model.texts([text])[0])

    def _find_idea(self, idea: str) -> tuple[Rows, float, float]:
        wanted = self._model.texts([form.format(IDEAS.get(idea, idea)) for form in _ASKED]).mean(0)
        direction = wanted - self._harmless.mean(0)  # away from what prompts have in common
        scores = self._harmless @ direction
        return direction, float(scores.mean()), float(scores.std())


class ClipPictures:
    """`shows:` conditions: a picture shows what is likelier than calm descriptions of it."""

    def __init__(self, model: ClipModel) -> None:
        self._model = model
        self._otherwise = model.texts(_OTHERWISE)
        self._asked = lru_cache(maxsize=_CACHED)(self._find_asked)
        self._seen: OrderedDict[bytes, Rows] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def model_id(self) -> str:
        """Names the model and its version, for decisions."""
        return self._model.model_id

    def shows(self, pixels: NDArray[np.uint8], what: str, certainty: Certainty) -> bool:
        """True where `pixels`, uint8 [H, W, 3] sRGB, show `what`. Raises `BackendError` where unknown."""
        return self.probability(pixels, what) >= PICTURE_PROBABILITY[certainty]

    def probability(self, pixels: NDArray[np.uint8], what: str) -> float:
        """Returns how likely `what` is against calm descriptions, in [0, 1]."""
        candidates = np.vstack([self._asked(what)[None], self._otherwise])
        scores = self._model.scale * (candidates @ self._picture(pixels))
        shares = np.exp(scores - scores.max())
        return float(shares[0] / shares.sum())

    def _find_asked(self, what: str) -> Rows:
        mean = self._model.texts([form.format(what) for form in _ASKED]).mean(0)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)

    def _picture(self, pixels: NDArray[np.uint8]) -> Rows:
        key = hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).digest()
        with self._lock:
            if key in self._seen:
                return self._seen[key]
        found = self._model.picture(pixels)
        with self._lock:
            self._seen[key] = found
            if len(self._seen) > _CACHED:
                self._seen.popitem(last=False)
        return found


def _weights_in(folder: Path) -> Path:
    """Returns the weights in `folder`; raises `BackendError` where open_clip would read something else."""
    try:
        if (folder / CONFIG).stat().st_size > _MAX_CONFIG_BYTES:
            raise BackendError(f"{folder / CONFIG} has more than {_MAX_CONFIG_BYTES:,} bytes")
        config = json.loads((folder / CONFIG).read_text("utf-8"))["model_cfg"]
        needs_network = config["text_cfg"].get("hf_model_name")
        found = sorted(folder.glob("*.safetensors"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackendError(
            f"{folder} needs an {CONFIG} with `model_cfg` and its `text_cfg`: {error}"
        ) from error
    if needs_network:
        raise BackendError(
            f"{folder / CONFIG} names {needs_network!r}, which would be fetched; use another model"
        )
    if len(found) != 1:
        raise BackendError(f"{folder} needs one .safetensors file with the weights, and has {len(found)}")
    return found[0]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(rows: Any) -> Rows:
    found = np.asarray(rows.float().cpu().numpy(), np.float32)
    if not np.isfinite(found).all():
        raise ValueError("the embedding is not a number")
    return found
