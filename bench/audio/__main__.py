"""Robustness, quality and false alarms of the sound mark.

`python -m bench.audio [--null N] [--keys N] [--folder FOLDER]`. Results are lines of `FOLDER/cells.jsonl` and
`FOLDER/null.jsonl`, under a digest of the code that made them; a run that was stopped goes on. Exit 1 when a
promised edit leaves the id readable in less than 95 % of the pieces, or a null trial finds anything.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import watermark
from bench.audio.corpus import Piece, corpus
from bench.audio.edits import AAC_64, HARDER, PROMISED, Edit, cut
from bench.audio.quality import noise_to_mask, segmental_snr, snr
from watermark import KeyRing, MediaId
from watermark.audio_detect import AudioDetector
from watermark.audio_embed import AudioMark

LIMIT = 0.95
KINDS = ("speech", "music", "new speech", "new music")


@dataclass(frozen=True)
class Cell:
    """One edit of one piece under one key."""

    piece: str
    kind: str
    edit: str
    key: int
    found: bool
    log10_p: float
    snr: float
    segmental_snr: float
    noise_to_mask: float
    build: str


@dataclass(frozen=True)
class NullTrial:
    """A detector with a fresh key on sound that it did not mark."""

    number: int
    kind: str
    found: bool
    band: str
    log10_p: float
    build: str


def ring_of(number: int) -> KeyRing:
    """Ring `number` of the bench."""
    return KeyRing.derive(hashlib.sha256(f"bench audio {number}".encode()).digest(), deployment="bench")


def media_id_of(number: int) -> MediaId:
    """A random id for `number`, drawn as the product draws ids."""
    return MediaId.draw(lambda count: hashlib.sha256(f"id {number}".encode()).digest()[:count])


def cells(pieces: list[Piece], keys: int, build: str, done: set[tuple[str, str, int]]) -> Iterator[Cell]:
    """Every promised edit under `keys` keys, every harder one under one, of what is not `done`."""
    for index, piece in enumerate(track(pieces, description="edits")):
        for key in range(keys):
            edits: dict[str, Edit] = {**PROMISED, **(HARDER if key == 0 else {})}
            missing = [name for name in edits if (piece.name, name, key) not in done]
            if not missing:
                continue
            ring, media_id = ring_of(key), media_id_of(1_000 * key + index)
            detector = AudioDetector([ring])
            marked = AudioMark(ring.subkey(index % 16), media_id).apply(piece.samples, piece.rate)
            ratio, segmental, masked = (
                round(measure(piece.samples, marked, piece.rate), 2)
                for measure in (snr, segmental_snr, noise_to_mask)
            )
            for name in missing:
                rng = np.random.default_rng([index, key, len(name)])
                detection = detector.detect(*edits[name](marked, piece.rate, rng))
                found = detection.media_id == media_id
                p = round(detection.log10_p, 2)
                yield Cell(piece.name, piece.kind, name, key, found, p, ratio, segmental, masked, build)


def null_trials(pieces: list[Piece], count: int, build: str, done: set[int]) -> Iterator[NullTrial]:
    """Half: unmarked stretches of 1 to 5 s. A quarter: marked with another key. A quarter: coded with AAC."""
    for number in track(range(count), description="null trials"):
        if number in done:
            continue
        rng = np.random.default_rng([7, number])
        piece = pieces[number % len(pieces)]
        samples, rate = cut(float(rng.uniform(1, 5)))(piece.samples, piece.rate, rng)
        kind = ("unmarked", "unmarked", "other key", "unmarked, AAC")[number // len(pieces) % 4]
        if kind == "other key":
            key = ring_of(10_000_000 + number % 64).subkey(number % 16)
            samples = AudioMark(key, media_id_of(number)).apply(samples, rate)
        elif kind == "unmarked, AAC":
            samples, rate = AAC_64(samples, rate, rng)
        detection = AudioDetector([ring_of(1_000_000 + number)]).detect(samples, rate)
        yield NullTrial(number, kind, detection.found, detection.band, round(detection.log10_p, 3), build)


def build_digest() -> str:
    """Digest of the code of the sound mark."""
    folder = Path(watermark.__file__).parent
    names = ("audio_*.py", "coding.py", "keys.py", "payload.py", "statistics.py")
    files = sorted(path for name in names for path in folder.glob(name))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def edit_table(found: list[Cell], keys: int) -> Table:
    """One line per edit: pieces recovered of speech and of music, and the weakest evidence."""
    table = Table("edit", *KINDS, "weakest log10 p", title=f"{keys} keys; promised edits first")
    for name in [*PROMISED, *HARDER]:
        rows = [cell for cell in found if cell.edit == name]
        shares = []
        for kind in KINDS:
            hits = [cell.found for cell in rows if cell.kind == kind]
            shares.append(f"{sum(hits)} of {len(hits)}")
        table.add_row(name, *shares, f"{max((cell.log10_p for cell in rows), default=0.0):.0f}")
    return table


def quality_table(found: list[Cell]) -> Table:
    """How far the mark lies below the sound: median, and the worst piece."""
    table = Table("quality", *(f"{kind}: median (worst)" for kind in KINDS))
    for name, worst in (("snr", min), ("segmental_snr", min), ("noise_to_mask", max)):
        row = []
        for kind in KINDS:
            values = [getattr(cell, name) for cell in found if cell.kind == kind and cell.edit == "none"]
            row.append(f"{np.median(values):.1f} ({worst(values):.1f})")
        table.add_row(f"{name.replace('_', ' ')}, dB", *row)
    return table


def null_table(trials: list[NullTrial]) -> Table:
    """False alarms by kind."""
    table = Table("null trials", "trials", "found", "inconclusive", "smallest log10 p")
    for kind in sorted({trial.kind for trial in trials}):
        rows = [trial for trial in trials if trial.kind == kind]
        doubtful = sum(trial.band == "inconclusive" for trial in rows)
        least = f"{min(trial.log10_p for trial in rows):.2f}"
        table.add_row(kind, str(len(rows)), str(sum(t.found for t in rows)), str(doubtful), least)
    return table


def _lines(path: Path, build: str) -> list[dict[str, object]]:
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue  # torn by a kill
    return [row for row in rows if row.get("build") == build]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("bench-audio"))
    parser.add_argument("--keys", type=int, default=3, help="keys per piece for the promised edits")
    parser.add_argument("--null", type=int, default=10_000, help="null trials")
    options = parser.parse_args()
    build, folder = build_digest(), options.folder
    pieces = corpus(folder / "pieces")
    cell_file, null_file = folder / "cells.jsonl", folder / "null.jsonl"
    found = [Cell(**row) for row in _lines(cell_file, build)]  # type: ignore[arg-type]
    trials = [NullTrial(**row) for row in _lines(null_file, build)]  # type: ignore[arg-type]
    with cell_file.open("a") as file:
        for cell in cells(pieces, options.keys, build, {(c.piece, c.edit, c.key) for c in found}):
            found.append(cell)
            file.write(json.dumps(asdict(cell)) + "\n")
            file.flush()
    with null_file.open("a") as file:
        for trial in null_trials(pieces, options.null, build, {t.number for t in trials}):
            trials.append(trial)
            file.write(json.dumps(asdict(trial)) + "\n")
            file.flush()
    console = Console()
    for table in (edit_table(found, options.keys), quality_table(found), null_table(trials)):
        console.print(table)
    promised = [np.mean([cell.found for cell in found if cell.edit == name]) for name in PROMISED]
    return int(min(promised) < LIMIT or any(trial.found for trial in trials))


if __name__ == "__main__":
    raise SystemExit(main())
