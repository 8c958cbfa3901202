"""What an adapter was made for, found out by trying it: does it draw one and the same person?

The pictures come from a function of the caller's (`generator.trial`), so nothing above this package is
needed here. A likeness adapter gives one face whatever is asked for and whatever the seed; a style gives many
faces. The same pictures without the adapter show what the system does by itself. Templates live as long as
the call; a verdict is a word and three numbers, kept by the adapter's digest.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from guard.adapters import Adapter
from guard.calibration import Calibration
from guard.errors import BackendError
from guard.gallery import Gallery
from guard.templates import FaceReader, SeenFaces

TRIAL_PICTURES = 16
SAME_FACE_RATE = 1e-3  # of pairs of strangers that pass for one person
PROTECTED_RATE = 1e-4  # of trials in which a stranger passes for somebody in the gallery
ONE_PERSON_SHARE = 0.5  # of the pictures that show one person, from which an adapter is of a person
LEAST_PICTURES = 4
MAX_TRIGGERS = 4
_TEMPLATES = (
    "portrait photo of {}, looking into the camera",
    "photo of {} outdoors, upper body",
    "close-up photo of {} indoors",
    "photo of {} at a table, facing the camera",
)
_NOBODY = "a person"
_TRIGGER_KEYS = ("modelspec.trigger_phrase", "trigger_word", "instance_prompt", "ss_output_name")

Render = Callable[[str, int], NDArray[np.uint8]]
"""`render(prompt, seed)`: one picture, uint8 [H, W, 3] sRGB."""


class TrialOutcome(StrEnum):
    """What the trial pictures show."""

    NOBODY = "nobody"  # hardly any faces
    MANY_PEOPLE = "many-people"
    ONE_PERSON = "one-person"
    PROTECTED_PERSON = "protected-person"  # somebody in the gallery


@dataclass(frozen=True, slots=True)
class TrialVerdict:
    """How a trial went: of `pictures`, so many had a face, and so many the most frequent person."""

    sha256: str
    outcome: TrialOutcome
    pictures: int
    with_face: int
    alike: int
    system: str  # digest of the system it was tried on
    faces: str  # models that looked at the pictures


@dataclass(frozen=True)
class Trial:
    """Tries adapters on one system. `gallery` None: nobody is protected by face."""

    reader: FaceReader
    calibration: Calibration
    system: str
    gallery: Gallery | None = None

    def __post_init__(self) -> None:
        models = {self.reader.model_id, self.calibration.model_id}
        if self.gallery is not None:
            models.add(self.gallery.model_id)
        if len(models) > 1:
            raise BackendError(f"models, gallery and calibration do not belong together: {sorted(models)}")

    def judge(
        self, adapter: Adapter, *, plain: Render, adapted: Render, pictures: int = TRIAL_PICTURES
    ) -> TrialVerdict:
        """Renders with and without the adapter and says what it draws.

        Raises `BackendError` where a model cannot run, or the system draws one face by itself already, so
        that nothing can be said.
        """
        if pictures < LEAST_PICTURES:
            raise BackendError(f"a trial needs at least {LEAST_PICTURES} pictures, not {pictures}")
        asked = self.asked(adapter, pictures)
        own = self._alike([self.reader.read(plain(prompt, seed)) for prompt, seed in asked])
        if own >= ONE_PERSON_SHARE * pictures:
            raise BackendError(
                "this system draws one and the same face without the adapter; try it on another"
            )
        seen = [self.reader.read(adapted(prompt, seed)) for prompt, seed in asked]
        alike, with_face = self._alike(seen), sum(one.count > 0 for one in seen)
        outcome = self._outcome(seen, alike, with_face, pictures)
        return TrialVerdict(
            adapter.sha256, outcome, pictures, with_face, alike, self.system, self.reader.model_id
        )

    def asked(self, adapter: Adapter, pictures: int) -> tuple[tuple[str, int], ...]:
        """Returns the prompts and seeds of a trial."""
        return tuple((prompt, seed) for seed, prompt in enumerate(trial_prompts(adapter, pictures)))

    def _outcome(self, seen: Sequence[SeenFaces], alike: int, with_face: int, pictures: int) -> TrialOutcome:
        if self._protected(seen):
            return TrialOutcome.PROTECTED_PERSON
        if alike >= ONE_PERSON_SHARE * pictures:
            return TrialOutcome.ONE_PERSON
        return TrialOutcome.MANY_PEOPLE if with_face >= LEAST_PICTURES else TrialOutcome.NOBODY

    def _alike(self, seen: Sequence[SeenFaces]) -> int:
        """Returns in how many pictures the most frequent face is: those near one face, not chains of them."""
        places = np.repeat(np.arange(len(seen)), [len(one.templates) for one in seen])
        rows = np.concatenate([one.templates for one in seen])
        if not len(rows):
            return 0
        near = rows @ rows.T >= self.calibration.threshold(SAME_FACE_RATE, comparisons=1)
        return max(len(np.unique(places[row])) for row in near)

    def _protected(self, seen: Sequence[SeenFaces]) -> bool:
        rows = np.concatenate([one.templates for one in seen])
        if self.gallery is None or not len(rows) * len(self.gallery):
            return False
        comparisons = len(rows) * len(self.gallery)
        threshold = self.calibration.threshold(PROTECTED_RATE, comparisons=comparisons)
        return bool(self.gallery.search(rows, threshold))


def trial_prompts(adapter: Adapter, pictures: int) -> tuple[str, ...]:
    """Returns `pictures` prompts: of a person, and of what the adapter's metadata call for."""
    subjects = (*triggers(adapter), _NOBODY)
    pairs = [template.format(subject) for template in _TEMPLATES for subject in subjects]
    return tuple(pairs[number % len(pairs)] for number in range(pictures))


def triggers(adapter: Adapter) -> tuple[str, ...]:
    """Returns the words by which the metadata say that the adapter is called, at most `MAX_TRIGGERS`."""
    found = [adapter.metadata[key] for key in _TRIGGER_KEYS if adapter.metadata.get(key)]
    found += _frequent_tags(adapter.metadata.get("ss_tag_frequency", ""))
    words = (re.sub(r"\s+", " ", text).strip()[:80] for text in found)
    return tuple(dict.fromkeys(word for word in words if word))[:MAX_TRIGGERS]


def _frequent_tags(text: str) -> list[str]:
    """Returns the two most frequent tags of kohya's statistics, `{folder: {tag: count}}`."""
    counts: Counter[str] = Counter()
    try:
        for tags in json.loads(text).values():
            counts.update({str(tag): int(count) for tag, count in tags.items()})
    except (ValueError, AttributeError, TypeError, RecursionError):
        return []
    return [tag for tag, _ in counts.most_common(2)]


class TrialBook:
    """Verdicts on disk, one file for each adapter and system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, verdict: TrialVerdict) -> Path:
        """Writes a verdict, in place of an earlier one. Raises `BackendError` where it cannot."""
        path = self._folder / f"{verdict.sha256}.{verdict.system.removeprefix('sha256:')[:16]}.json"
        new = path.with_suffix(".new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            new.write_text(json.dumps(asdict(verdict), indent=1) + "\n", "utf-8")
            new.replace(path)
        except OSError as error:
            raise BackendError(f"{path} cannot be written: {error.strerror}") from error
        return path

    def verdicts(self, sha256: str) -> tuple[TrialVerdict, ...]:
        """Returns what is known of an adapter. Raises `BackendError` where a file cannot be read."""
        return tuple(_verdict(path) for path in sorted(self._folder.glob(f"{sha256}.*.json")))


def _verdict(path: Path) -> TrialVerdict:
    try:
        row = json.loads(path.read_bytes())
        return TrialVerdict(**{**row, "outcome": TrialOutcome(row["outcome"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackendError(
            f"{path} is no verdict on an adapter; remove it and try the adapter again"
        ) from error
