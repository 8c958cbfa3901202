"""The robustness run: every cell is one trial of one attack on one medium, written as one JSON line.

A run can be stopped at any time: finished cells are skipped when it starts again. Cells carry the digest
of the code they were measured with, so results of an older mark are never counted for a newer one.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

import watermark
from bench.watermark import peers
from bench.watermark.attacks import Attack, Frames, Kind, kinds_of
from bench.watermark.media import Medium
from bench.watermark.metrics import canonical_to_pixels, geometry_error, psnr, ssim
from bench.watermark.systems import Reading, System, Trial, finite, load_system

UNIT_ATTACKS = 6
"""Attacks per work unit: a worker embeds once for so many cells, and a killed run loses so many at most."""


@dataclass(frozen=True)
class Cell:
    """One result. `psnr` and `ssim` compare marked with unmarked, before the attack."""

    system: str
    medium: str
    kind: str
    attack: str
    key: int
    message: int
    build: str
    setup: str
    recovered: bool
    log10_p: float
    band: str
    seconds: float
    psnr: float
    ssim: float
    bit_accuracy: float | None
    geometry_error: float | None

    @property
    def identity(self) -> tuple[str, ...]:
        """What a cell is a result of."""
        return identity(
            self.system, self.medium, self.attack, Trial(self.key, self.message), self.build, self.setup
        )


def identity(system: str, medium: str, attack: str, trial: Trial, build: str, setup: str) -> tuple[str, ...]:
    """The key under which a finished cell is known."""
    return system, medium, attack, str(trial.key), str(trial.message), build, setup


@dataclass(frozen=True)
class Unit:
    """Work for one process: some attacks on one marked medium."""

    system: str
    medium: Medium
    trial: Trial
    attacks: tuple[Attack, ...]
    build: str
    weights: Path | None = None

    def identity(self, attack: Attack) -> tuple[str, ...]:
        """The identity of the cell that `attack` gives."""
        return identity(
            self.system, self.medium.name, attack.name, self.trial, self.build, setup_of(self.medium)
        )


def build_of(system: str) -> str:
    """Twelve hex digits over the source that a system's results depend on."""
    own = sorted(Path(watermark.__file__).parent.glob("*.py"))
    digest = hashlib.sha256()
    for path in own if system == "assay" else [Path(peers.__file__)]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def setup_of(medium: Medium) -> str:
    """How the medium was cut: results for other cuts are other cells."""
    return f"{medium.side}" if medium.kind == "image" else f"{medium.frames}f{medium.height or ''}"


def plan(
    systems: Sequence[str],
    media: Sequence[Medium],
    attacks: dict[Kind, tuple[Attack, ...]],
    trials: Sequence[Trial],
    *,
    done: set[tuple[str, ...]],
    builds: dict[str, str],
    weights: Path | None = None,
) -> list[Unit]:
    """Units still to do, breadth first: every medium meets every attack once before any trial is repeated."""
    everything = [
        Unit(name, medium, trial, attacks[medium.kind], builds[name], weights)
        for trial in trials
        for medium in media
        for name in systems
        if medium.kind in load_system(name, weights).kinds
    ]
    return [part for unit in everything for part in _parts(unit, done)]


def _parts(unit: Unit, done: set[tuple[str, ...]]) -> Iterator[Unit]:
    """The unit without what is done, in pieces of `UNIT_ATTACKS`."""
    todo = tuple(x for x in unit.attacks if unit.medium.kind in kinds_of(x) and unit.identity(x) not in done)
    for start in range(0, len(todo), UNIT_ATTACKS):
        yield replace(unit, attacks=todo[start : start + UNIT_ATTACKS])


def seed_of(medium: str, attack: str, trial: Trial) -> int:
    """The attack's random choices, the same for every system."""
    digest = hashlib.sha256(f"{medium}\0{attack}\0{trial.key}\0{trial.message}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


@lru_cache(2)
def marked(system: str, medium: Medium, trial: Trial, weights: Path | None) -> tuple[Frames, float, float]:
    """The marked medium with its PSNR and SSIM."""
    source = medium.load()
    out = load_system(system, weights).embed(source, trial)
    return out, psnr(source, out), ssim(source, out)


def run_unit(unit: Unit) -> list[Cell]:
    """Measure every cell of `unit`."""
    return list(cells_of(unit))


def cells_of(unit: Unit) -> Iterator[Cell]:
    """Measure the cells of `unit` one by one."""
    frames, decibels, similarity = marked(unit.system, unit.medium, unit.trial, unit.weights)
    system = load_system(unit.system, unit.weights)
    for attack in unit.attacks:
        reading, error = attacked_reading(system, frames, attack, unit.trial, unit.medium.name)
        yield Cell(
            unit.system,
            unit.medium.name,
            unit.medium.kind,
            attack.name,
            unit.trial.key,
            unit.trial.message,
            unit.build,
            setup_of(unit.medium),
            reading.recovered,
            round(finite(reading.log10_p), 2),
            reading.band,
            round(reading.seconds, 3),
            round(decibels, 2),
            round(similarity, 5),
            reading.bit_accuracy,
            error,
        )


def attacked_reading(
    system: System, frames: Frames, attack: Attack, trial: Trial, medium: str
) -> tuple[Reading, float | None]:
    """Attack, detect, and compare the geometry that the detector reports with what the attack did."""
    rng = np.random.default_rng(seed_of(medium, attack.name, trial))
    result = attack.run(frames, rng)
    reading = _detect(system, result.frames, trial)
    if not reading.recovered or reading.geometry is None or result.motion is None:
        return reading, None
    truth = result.motion @ canonical_to_pixels(*frames.shape[1:3])
    return reading, round(geometry_error(reading.geometry, truth, *result.frames.shape[1:3]), 3)


def _detect(system: System, frames: Frames, trial: Trial) -> Reading:
    """A system that breaks on an attacked picture has lost that cell, not the run."""
    try:
        return system.detect(frames, trial)
    except Exception as error:
        return Reading(False, 0.0, f"crashed: {type(error).__name__}", 0.0)


def read_cells(path: Path) -> list[Cell]:
    """Cells of a results file; a torn last line, left by a killed run, is ignored."""
    if not path.exists():
        return []
    cells = []
    for line in path.read_text().splitlines():
        try:
            cells.append(Cell(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return cells


def append_cells(path: Path, cells: Iterable[Cell]) -> None:
    """Add cells to a results file, one line each."""
    text = "".join(json.dumps(asdict(cell)) + "\n" for cell in cells)
    torn = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
    with path.open("a") as file:
        file.write("\n" * torn + text)


def run(units: Sequence[Unit], path: Path, *, workers: int = 1) -> Iterator[list[Cell]]:
    """Do the units, append each result to `path` as it comes, and yield it."""
    if workers <= 1:
        for unit in units:
            for cell in cells_of(unit):
                append_cells(path, [cell])
                yield [cell]
        return
    with ProcessPoolExecutor(workers) as pool:
        for cells in pool.map(run_unit, units):
            append_cells(path, cells)
            yield cells


def trials_of(keys: int, messages: int) -> list[Trial]:
    """`keys` x `messages` trials, the diagonal first, so that a short run still changes both."""
    every = [Trial(key, message) for key in range(keys) for message in range(messages)]
    return sorted(every, key=lambda trial: ((trial.key - trial.message) % messages, trial.key))
