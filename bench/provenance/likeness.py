"""Do copies agree with their record, and does nothing else? On pictures that no threshold was chosen on."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.provenance.house import scene
from bench.provenance.rows import Results, Row, show, write_summary
from bench.watermark.security import add, average
from provenance import Match, Views, compare, fingerprint_frames
from provenance.fingerprint import MAX_VIEWS, VIEW_LINES, Sampler
from watermark import Geometry
from watermark.geometry import Matrix, aligned

Picture = NDArray[np.uint8]

COUNT: Final = 40
STRANGERS: Final = 5
"""Other pictures that each record is compared with, under every edit."""
SIZE: Final = {"height": 256, "width": 448}
LIFTED_FROM: Final = 8
_FIRST_SEED: Final = 70_000
_WRONG: Final = {
    "copies": Match.MISMATCH,
    "others": Match.MATCH,
    "faint": Match.MATCH,
}
"""What must not be said."""


@dataclass(frozen=True)
class Edit:
    """What is done to a picture, and where its pixels go: old pixel centres to new ones."""

    change: Callable[[Picture], Picture]
    motion: Callable[[int, int], Matrix] = lambda rows, columns: np.eye(3)


def _levels(gain: float, offset: float = 0.0, gamma: float = 1.0) -> Edit:
    def change(picture: Picture) -> Picture:
        unit = np.clip(gain * (picture / 255.0) ** gamma + offset, 0, 1)
        return np.asarray((255 * unit).round(), np.uint8)

    return Edit(change)


def _crop(share: float) -> Edit:
    def origin(rows: int, columns: int) -> tuple[int, int]:
        return int(rows * (1 - share) / 3), int(columns * (1 - share) / 2)

    def change(picture: Picture) -> Picture:
        rows, columns = picture.shape[:2]
        top, left = origin(rows, columns)
        return picture[top : top + int(rows * share), left : left + int(columns * share)]

    def motion(rows: int, columns: int) -> Matrix:
        top, left = origin(rows, columns)
        return np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])

    return Edit(change, motion)


def _turn(degrees: float) -> Edit:
    def motion(rows: int, columns: int) -> Matrix:
        centre = ((columns - 1) / 2, (rows - 1) / 2)
        return np.vstack([cv2.getRotationMatrix2D(centre, degrees, 1.0), [0, 0, 1]])

    def change(picture: Picture) -> Picture:
        rows, columns = picture.shape[:2]
        return np.asarray(cv2.warpAffine(picture, motion(rows, columns)[:2], (columns, rows)), np.uint8)

    return Edit(change, motion)


def _jpeg(quality: int) -> Edit:
    def change(picture: Picture) -> Picture:
        target = io.BytesIO()
        Image.fromarray(picture).save(target, "JPEG", quality=quality)
        return np.asarray(Image.open(target).convert("RGB"), np.uint8)

    return Edit(change)


def _half(picture: Picture) -> Picture:
    size = (picture.shape[1] // 2, picture.shape[0] // 2)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _erased(picture: Picture) -> Picture:
    covered = picture.copy()
    rows, columns = picture.shape[:2]
    covered[: rows // 2, : columns // 2] = 127
    return covered


def _caption(picture: Picture) -> Picture:
    covered = np.ascontiguousarray(picture.copy())
    place, white = (20, picture.shape[0] - 30), (255, 255, 255)
    cv2.putText(covered, "somebody's caption", place, cv2.FONT_HERSHEY_SIMPLEX, 1.2, white, 3)
    return covered


def _filmed(picture: Picture) -> Picture:
    """Less contrast, blur and noise, as off a screen."""
    rng = np.random.default_rng(picture.size)
    soft = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.2)
    return np.asarray(np.clip(30 + 0.6 * soft + rng.normal(0, 4, soft.shape), 0, 255), np.uint8)


EDITS: Final[dict[str, Edit]] = {
    "as it is": Edit(lambda picture: picture),
    "JPEG 30": _jpeg(30),
    "JPEG 10": _jpeg(10),
    "half size": Edit(_half, lambda rows, columns: np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1.0]])),
    "crop to 60 %": _crop(0.6),
    "crop to 45 %": _crop(0.45),
    "mirror": Edit(
        lambda picture: picture[:, ::-1],
        lambda rows, columns: np.array([[-1, 0, columns - 1], [0, 1, 0], [0, 0, 1.0]]),
    ),
    "turned by 7 degrees": _turn(7),
    "half the contrast": _levels(0.5, 0.25),
    "a third of the brightness": _levels(0.33),
    "brighter by half": _levels(1.5),
    "gamma 2": _levels(1.0, 0.0, 2.0),
    "grey": Edit(lambda p: np.repeat(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY)[..., None], 3, 2).astype(np.uint8)),
    "blur 2": Edit(lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), 2), np.uint8)),
    "a quarter erased": Edit(_erased),
    "caption": Edit(_caption),
    "filmed": Edit(_filmed),
}


def _views(picture: Picture) -> Views:
    sampler = Sampler(fps=0, lines=VIEW_LINES, limit=MAX_VIEWS)
    sampler.look(np.ascontiguousarray(picture))
    return sampler.views()


def _picture(number: int) -> Picture:
    return np.asarray(scene(_FIRST_SEED + number, frames=1, **SIZE)[0], np.uint8)


def _faint(number: int) -> Picture:
    """A foreign picture onto which the mean detail of eight others was added, the record's own among them:
    what an attacker leaves who lifts a mark from them."""
    seeds = range(number * LIFTED_FROM, (number + 1) * LIFTED_FROM)
    lifted = average([scene(_FIRST_SEED + seed, frames=1, **SIZE)[0] for seed in seeds])
    foreign = _picture(10_000 + number)
    return np.asarray(add(foreign, lifted, 40.0), np.uint8)


def measure(number: int) -> Row:
    """Record `number` against its own copies, against others', and against faint traces of itself."""
    own = _picture(number * LIFTED_FROM)
    record = fingerprint_frames([own], fps=0)
    strangers = [_picture(20_000 + number * STRANGERS + index) for index in range(STRANGERS)]
    told: dict[str, list[str]] = {name: [] for name in _WRONG}
    for name, edit in EDITS.items():
        placed = Geometry.of(edit.motion(*own.shape[:2]) @ aligned(*own.shape[:2]))
        told["copies"].append(f"{compare(record, _views(edit.change(own)), placed).match}: {name}")
        told["others"] += [
            f"{compare(record, _views(edit.change(other)), placed).match}: {name}" for other in strangers
        ]
    told["faint"].append(str(compare(record, _views(_faint(number)), None).match))
    return dict(told)


def run(out: Path, count: int = COUNT) -> Row:
    """Measure what is missing, print the table, write the summary and return it."""
    cases = [str(number) for number in range(count)]
    rows = Results(out / "likeness.jsonl").complete("likeness", cases, lambda case: measure(int(case)))
    summary: Row = {}
    for name, never in _WRONG.items():
        words = [word for row in rows for word in row[name]]
        matches = Counter(word.partition(":")[0] for word in words)
        wrong = Counter(word for word in words if word.partition(":")[0] == never)
        summary[name] = {**matches, "compared": len(words), "wrong": dict(wrong)}
    lines = [
        (name, row["compared"], *(row.get(str(match), 0) for match in Match)) for name, row in summary.items()
    ]
    show("against one record", ("what", "compared", *(str(match) for match in Match)), lines)
    write_summary(out / "likeness.json", summary)
    print(f"wrong: { ({name: row['wrong'] for name, row in summary.items()}) }")
    return summary
