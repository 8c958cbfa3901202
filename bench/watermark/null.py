"""Trials in which no mark is to be found: unmarked media under any key, marked media under another key.

Two sizes. A whole trial searches a medium for a ring with all of its sub-keys, and gives no p-value worth a
plot: nothing comes near the bound. A trial of one word reads one fixed message of one key off an unmarked
picture at one geometry, where the bound is exp(-t^2 / 2) and shows how tight it is; a hundred keys share the
picture.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from bench.watermark.attacks import Frames
from bench.watermark.media import Medium
from bench.watermark.systems import Trial, finite, load_system, media_id_of, secret
from watermark.coding import encode
from watermark.frontend import accumulate
from watermark.geometry import aligned
from watermark.layout import CHANNELS, lay_chips
from watermark.payload import encode_payload
from watermark.soft_bits import ChipReader, ChipValues, soft_bits
from watermark.statistics import LOG10_P_DETECTED, log10_tail, message_log10_p

FIRST_KEY = 1_000_000
"""Null keys start here, far from those of the robustness trials."""
MIN_WINDOW = 160
"""Pixels: shortest side of a null window; smaller ones would only be easier."""
KEYS_PER_WINDOW = 100
CHANNEL_WEIGHTS = (1.0, 3.0)
"""Pilot answers of luma and chroma by which words are read: what marked photographs show."""


@dataclass(frozen=True)
class NullPair:
    """One picture or clip under one key that did not mark it."""

    kind: str
    medium: str
    key: int
    log10_p: float
    found: bool
    band: str
    seconds: float
    build: str


def window(frames: Frames, rng: np.random.Generator) -> Frames:
    """A random window of a medium, perhaps mirrored: many pictures from few."""
    height, width = frames.shape[1:3]
    rows = int(rng.integers(min(MIN_WINDOW, height), height + 1))
    columns = int(rng.integers(max(min(MIN_WINDOW, width), rows // 2), min(width, 2 * rows) + 1))
    top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
    cut = frames[:, top : top + rows, left : left + columns]
    return np.ascontiguousarray(cut[:, :, ::-1] if rng.random() < 0.5 else cut)


def unmarked_pair(number: int, media: Sequence[Medium], build: str) -> NullPair:
    """Pair `number`: a window of an unmarked picture (or of one frame of a clip) under a fresh key."""
    rng = np.random.default_rng(number)
    medium = media[number % len(media)]
    frames = medium.load()
    cut = window(frames[[int(rng.integers(len(frames)))]], rng)
    return _read("unmarked", medium.name, cut, FIRST_KEY + number, build)


def wrong_key_pair(number: int, media: Sequence[Medium], build: str) -> NullPair:
    """Pair `number`: a marked picture under a key that did not mark it."""
    medium = media[number % len(media)]
    picture = medium.load()[:1]
    marked = load_system("assay").embed(picture, Trial(number % 16, number))
    return _read("wrong key", medium.name, marked, FIRST_KEY + number, build)


def clip_pair(number: int, media: Sequence[Medium], build: str) -> NullPair:
    """Pair `number`: a whole unmarked clip under a fresh key."""
    medium = media[number % len(media)]
    return _read("unmarked clip", medium.name, medium.load(), FIRST_KEY + number, build)


def word_pair(number: int, media: Sequence[Medium], build: str) -> NullPair:
    """Pair `number`: one message of a fresh key, read off an unmarked window at a random geometry."""
    group = number // KEYS_PER_WINDOW
    medium = media[group % len(media)]
    seed = secret("null word", number)
    chips = tuple(lay_chips(seed, channel) for channel in CHANNELS)
    word = 1.0 - 2.0 * encode(encode_payload(media_id_of(0), seed))
    t = float(soft_bits(_values(medium, group), chips) @ word)
    log10_p = round(log10_tail(t), 4)
    found = message_log10_p(t, 0.0, drawn=True) <= LOG10_P_DETECTED
    band = "detected" if found else "none"
    return NullPair("one word", medium.name, FIRST_KEY + number, log10_p, found, band, 0.0, build)


@lru_cache(2)
def _values(medium: Medium, group: int) -> tuple[ChipValues, ...]:
    """What a window of an unmarked medium shows at one geometry: any rotation, half to twice the size."""
    rng = np.random.default_rng(group)
    frames = medium.load()
    picture = window(frames[[int(rng.integers(len(frames)))]], rng)[0]
    angle, zoom = rng.uniform(0, 2 * np.pi), 2.0 ** rng.uniform(-1, 1)
    turn = np.eye(3)
    turn[:2, :2] = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    reader = ChipReader.of(accumulate([picture]))
    return reader.read(aligned(*picture.shape[:2]) @ turn, np.array(CHANNEL_WEIGHTS))


def _read(kind: str, medium: str, frames: Frames, key: int, build: str) -> NullPair:
    reading = load_system("assay").detect(frames, Trial(key, 0))
    found = reading.band == "detected"
    log10_p = round(finite(reading.log10_p), 4)
    return NullPair(kind, medium, key, log10_p, found, reading.band, round(reading.seconds, 3), build)


KINDS = {
    "unmarked": unmarked_pair,
    "wrong key": wrong_key_pair,
    "unmarked clip": clip_pair,
    "one word": word_pair,
}


def read_pairs(path: Path, build: str) -> list[NullPair]:
    """Pairs of this build in a results file; a torn line is ignored."""
    pairs = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            pairs.append(NullPair(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return [pair for pair in pairs if pair.build == build]


def run_null(
    kind: str, count: int, media: Sequence[Medium], path: Path, *, build: str, workers: int = 1
) -> Iterator[NullPair]:
    """Do what is missing of `count` pairs of `kind`, append each to `path`, and yield it."""
    if not media:
        return
    done = {pair.key - FIRST_KEY for pair in read_pairs(path, build) if pair.kind == kind}
    todo = [number for number in range(count) if number not in done]
    measure = partial(KINDS[kind], media=media, build=build)
    with path.open("a") as file:
        for pair in _mapped(measure, todo, workers):
            file.write(json.dumps(asdict(pair)) + "\n")
            file.flush()
            yield pair


def _mapped(measure: "partial[NullPair]", todo: Sequence[int], workers: int) -> Iterator[NullPair]:
    if workers <= 1:
        yield from map(measure, todo)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(measure, todo, chunksize=8)
