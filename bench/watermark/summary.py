"""From cells to tables: recovery by attack, quality, promises kept and broken, the tail of the null."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from scipy.stats import beta

from bench.watermark.media import DRAWN
from bench.watermark.null import NullPair
from bench.watermark.runner import Cell
from bench.watermark.suite import Promise

LEVELS = (1e-1, 1e-2, 1e-3, 1e-4)
"""Probabilities at which the empirical tail is held against the bound."""


@dataclass(frozen=True)
class AttackRow:
    """One system under one attack on one kind of media."""

    system: str
    kind: str
    attack: str
    trials: int
    recovered: float
    median_log10_p: float
    worst_log10_p: float
    bit_accuracy: float | None
    geometry_error: float | None
    seconds: float


@dataclass(frozen=True)
class QualityRow:
    """How much a system changes the media of one kind."""

    system: str
    kind: str
    media: int
    psnr_min: float
    psnr_median: float
    ssim_min: float
    ssim_median: float


@dataclass(frozen=True)
class Verdict:
    """What became of one promised attack."""

    kind: str
    attack: str
    floor: float
    trials: int
    recovered: float

    @property
    def kept(self) -> bool:
        """A promise with no trials is not kept."""
        return self.trials > 0 and self.recovered >= self.floor


@dataclass(frozen=True)
class TailRow:
    """Share of null p-values at or below a level; `upper` is the 95 % Clopper-Pearson limit of that share."""

    kind: str
    level: float
    pairs: int
    hits: int
    share: float
    upper: float


def by_attack(cells: Iterable[Cell]) -> list[AttackRow]:
    """One row per system, kind and attack, in the order in which they were first met."""
    groups: dict[tuple[str, str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.system, cell.kind, cell.attack].append(cell)
    return [_attack_row(group) for group in groups.values()]


def _attack_row(cells: Sequence[Cell]) -> AttackRow:
    accuracies = [cell.bit_accuracy for cell in cells if cell.bit_accuracy is not None]
    errors = [cell.geometry_error for cell in cells if cell.geometry_error is not None]
    powers = [cell.log10_p for cell in cells]
    first = cells[0]
    return AttackRow(
        first.system,
        first.kind,
        first.attack,
        len(cells),
        sum(cell.recovered for cell in cells) / len(cells),
        median(powers),
        max(powers),
        sum(accuracies) / len(accuracies) if accuracies else None,
        median(errors) if errors else None,
        median(cell.seconds for cell in cells),
    )


def quality(cells: Iterable[Cell]) -> list[QualityRow]:
    """PSNR and SSIM of marked against unmarked, one value per medium and trial."""
    groups: dict[tuple[str, str], dict[tuple[str, int, int], Cell]] = defaultdict(dict)
    for cell in cells:
        groups[cell.system, cell.kind][cell.medium, cell.key, cell.message] = cell
    return [_quality_row(system, kind, list(group.values())) for (system, kind), group in groups.items()]


def _quality_row(system: str, kind: str, cells: Sequence[Cell]) -> QualityRow:
    decibels = [cell.psnr for cell in cells]
    similar = [cell.ssim for cell in cells]
    count = len({cell.medium for cell in cells})
    return QualityRow(system, kind, count, min(decibels), median(decibels), min(similar), median(similar))


def verdicts(cells: Sequence[Cell], promises: Iterable[Promise], system: str = "assay") -> list[Verdict]:
    """Every promised attack with its measured recovery, on the media of the folder alone."""
    given = [cell for cell in cells if cell.system == system and not cell.medium.startswith(DRAWN)]
    rows = {(row.kind, row.attack): row for row in by_attack(given)}
    out = []
    for promise in promises:
        for attack in promise.attacks:
            row = rows.get((promise.kind, attack.name))
            measured = (row.trials, row.recovered) if row else (0, 0.0)
            out.append(Verdict(promise.kind, attack.name, promise.floor, *measured))
    return out


def misses(cells: Iterable[Cell], promises: Iterable[Promise], system: str = "assay") -> list[Cell]:
    """Cells of promised attacks whose message was not recovered."""
    promised = {(promise.kind, attack.name) for promise in promises for attack in promise.attacks}
    return [
        cell
        for cell in cells
        if cell.system == system and not cell.recovered and (cell.kind, cell.attack) in promised
    ]


def tail(pairs: Sequence[NullPair]) -> list[TailRow]:
    """The empirical tail per kind of null trial, at each of `LEVELS`."""
    groups: dict[str, list[NullPair]] = defaultdict(list)
    for pair in pairs:
        groups[pair.kind].append(pair)
    return [_tail_row(kind, level, group) for kind, group in groups.items() for level in LEVELS]


def _tail_row(kind: str, level: float, pairs: Sequence[NullPair]) -> TailRow:
    hits = sum(10**pair.log10_p <= level for pair in pairs)
    upper = 1.0 if hits == len(pairs) else float(beta.ppf(0.95, hits + 1, len(pairs) - hits))
    return TailRow(kind, level, len(pairs), hits, hits / len(pairs), upper)
