"""What a text is about, as numbers: the interface of `idea` conditions, and the embedded default behind it.

The default is a pair of linear models over hashed words, pairs of words and runs of 3 to 5 letters
(Weinberger et al. 2009; Joulin et al. 2017) of the text as `guard.views` reads it, so that disguises fall
away first: one says whether a text is risky at all, one which ideas it is about. Weights and operating points
are in one safetensors file, made by `bench.guard.train_ideas`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from guard.errors import BackendError
from guard.keys import PieceHashes
from guard.model import Certainty, Idea
from guard.request import Text
from guard.views import Reading, read

IDEAS: Mapping[str, str] = {
    "violence": "violence, injury, killing, gore",
    "self-harm": "self-harm and suicide",
    "hate": "contempt for people because of what they are",
    "harassment": "threats and bullying of a person",
    "sexual": "sexual content",
    "illegal": "drugs, weapons, theft and other crime",
    "shocking": "disturbing, disgusting pictures",
}
BUCKET_BITS = 18  # 262,144 rows; two features share a row about once in 600 per text
FORMAT = "assay ideas 2"
_GRAMS = (3, 4, 5)  # letters, spaces between words included
_SALTS = np.array([0x9E37, 0x79B9, 0x7F4A, 0x1C69], np.uint64)  # words, pairs, runs of letters, words
_MIX = np.uint64(0xD6E8FEB86659FD93)
_NOTHING = -100.0  # log-odds of a text without words
_WINDOW = 24  # words; a long prompt is also judged in pieces of so many, overlapping by half
_MAX_WORDS = 2000  # of a text; a text encoder reads a few hundred
_CACHED = 64  # texts whose scores are kept
_MAX_FILE_BYTES = 8 * 2**20


class IdeaBackend(Protocol):
    """Something that says how much a text is about each idea."""

    @property
    def model_id(self) -> str:
        """Names the model and its version, for decisions."""
        ...

    @property
    def ideas(self) -> frozenset[str]:
        """The ideas that it knows."""
        ...

    def holds(self, text: str, idea: str, certainty: Certainty) -> bool:
        """True where `text` is about `idea`. Raises `BackendError` where it cannot say."""
        ...


class LazyIdeas:
    """Says what the texts of a request are about, when a rule asks."""

    def __init__(self, texts: Sequence[Text], backend: IdeaBackend | None) -> None:
        self._texts = texts
        self._backend = backend

    def about(self, condition: Idea) -> tuple[int, ...]:
        """Returns the numbers of the texts about an idea. Raises `BackendError` without a backend."""
        backend = self._backend
        if backend is None:
            raise BackendError("no classifier of ideas is set up; install one or change the rule's on_error")
        wanted = condition.idea, condition.certainty
        return tuple(i for i, text in enumerate(self._texts) if backend.holds(text.value, *wanted))

    def role(self, index: int) -> str:
        """Returns the role of a text."""
        return self._texts[index].role


@dataclass(frozen=True)
class HashedIdeas:
    """The embedded classifier: `weights` float32 [2**BUCKET_BITS, 1 + ideas], `bias` float32 [1 + ideas].

    Column 0 is the log-odds of a text being risky at all, the others say about what. `points` has the score
    from which an idea counts, by certainty.
    """

    model_id: str
    names: tuple[str, ...]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    points: Mapping[Certainty, float]
    scores: Callable[[str], NDArray[np.float32]] = field(init=False, repr=False, compare=False)

    @property
    def ideas(self) -> frozenset[str]:
        """The ideas that the weights were trained for."""
        return frozenset(self.names)

    def __post_init__(self) -> None:
        # The rules of a policy ask for the ideas of one text one by one.
        object.__setattr__(self, "scores", lru_cache(maxsize=_CACHED)(self._scores))

    def _scores(self, text: str) -> NDArray[np.float32]:
        """Returns the score of each idea, in the order of `names`; takes time linear in the text.

        The likeliest idea of a text has the log-odds of the text being risky at all, another one less by how
        much less likely it is (as log-odds). They are the largest over the whole text and windows of it, so
        that a long prompt hides nothing.
        """
        found = [self._score(piece) for piece in pieces(read(text))]
        if not found:
            return np.full(len(self.names), _NOTHING, np.float32)
        return np.asarray(np.max(found, axis=0), np.float32)

    def _score(self, words: Sequence[str]) -> NDArray[np.float32]:
        rows = features(words)
        sums = self.weights[rows].sum(0) / np.sqrt(len(rows)) + self.bias
        return np.asarray(sums[0] + sums[1:] - sums[1:].max(), np.float32)

    def holds(self, text: str, idea: str, certainty: Certainty) -> bool:
        """True where the score reaches the operating point. Raises `BackendError` for an unknown idea."""
        if idea not in self.names:
            raise BackendError(f"{self.model_id} knows no idea {idea!r}; it knows {', '.join(self.names)}")
        return float(self.scores(text)[self.names.index(idea)]) >= self.points[certainty]


def pieces(reading: Reading) -> list[list[str]]:
    """Returns the words of a text, and of windows of it where it is long; [] where it has no words."""
    words = [reading.token(i) for i in range(min(len(reading.tokens), _MAX_WORDS))]
    if len(words) <= _WINDOW:
        return [words] if words else []
    starts = range(0, len(words) - _WINDOW // 2, _WINDOW // 2)
    return [words, *(words[at : at + _WINDOW] for at in starts)]


def features(words: Sequence[str]) -> NDArray[np.int64]:
    """Returns the rows of the weights that words ask for, each once, in [0, 2**BUCKET_BITS)."""
    padded = f" {' '.join(words)} "
    text = PieceHashes(padded)
    gaps = np.array([i for i, letter in enumerate(padded) if letter == " "], np.int64)
    begins, ends = gaps[:-1] + 1, gaps[1:]
    words_alone = text.hashes(begins, ends)  # twice: runs of letters outnumber them
    keys = [words_alone ^ _SALTS[0], words_alone ^ _SALTS[3], text.hashes(begins[:-1], ends[1:]) ^ _SALTS[1]]
    for size in _GRAMS:
        first = np.arange(max(0, len(padded) - size + 1))
        keys.append(text.hashes(first, first + size) ^ _SALTS[2])
    return np.unique(np.asarray((np.concatenate(keys) * _MIX) >> np.uint64(64 - BUCKET_BITS), np.int64))


def embedded_ideas_path() -> Path:
    """Returns where the shipped weights are installed."""
    return Path(str(resources.files("guard").joinpath("ideas.safetensors")))


@cache
def embedded_ideas() -> HashedIdeas | None:
    """Returns the shipped classifier, or None where its weights were left out."""
    return load_ideas() if embedded_ideas_path().is_file() else None


def load_ideas(path: Path | None = None) -> HashedIdeas:
    """Reads the classifier at `path`, by default the shipped one.

    Raises `BackendError` where the file is missing, too large, or not of this format.
    """
    path = path or embedded_ideas_path()
    try:
        data = path.read_bytes()
        if len(data) > _MAX_FILE_BYTES:
            raise BackendError(f"{path} has {len(data):,} bytes; at most {_MAX_FILE_BYTES:,} are read")
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            weights, bias = file.get_tensor("weights"), file.get_tensor("bias")
        return _checked(metadata, weights, bias, hashlib.sha256(data).hexdigest())
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise BackendError(f"{path} is not a classifier of ideas: {error}") from error


def _checked(
    metadata: Mapping[str, str], weights: NDArray[np.float16], bias: NDArray[np.float32], digest: str
) -> HashedIdeas:
    if metadata.get("format") != FORMAT:
        raise ValueError(f"its format is {metadata.get('format')!r}, and {FORMAT!r} is needed")
    names = tuple(json.loads(metadata["ideas"]))
    if weights.shape != (1 << BUCKET_BITS, 1 + len(names)) or bias.shape != (1 + len(names),):
        raise ValueError(f"its weights have the shape {weights.shape}")
    written = json.loads(metadata["points"])
    points = {word: float(written[word.value]) for word in Certainty}
    return HashedIdeas(
        f"assay/ideas@{digest[:12]}", names, weights.astype(np.float32), bias.astype(np.float32), points
    )
