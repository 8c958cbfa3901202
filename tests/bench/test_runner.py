"""A run plans every cell once, resumes where it stopped, and never mixes builds."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.watermark import attacks as a
from bench.watermark import runner
from bench.watermark.attacks import Attack, Frames, Kind
from bench.watermark.media import Medium, drawn_media
from bench.watermark.null import read_pairs, run_null
from bench.watermark.runner import Cell, Unit
from bench.watermark.suite import Promise
from bench.watermark.summary import LEVELS, by_attack, misses, quality, tail, verdicts
from bench.watermark.systems import Reading, Trial
from tests.bench.conftest import CornerMark

ATTACKS: dict[Kind, tuple[Attack, ...]] = {
    "image": (a.Identity(), a.Jpeg(10), a.VerticalFlip()),
    "video": (a.Identity(), a.Reverse()),
}
TRIALS = runner.trials_of(2, 2)


@pytest.fixture
def media() -> tuple[Medium, ...]:
    sky, *_, clip = drawn_media(side=48, frames=3, height=48)
    return sky, clip


def plan(system: str, media: tuple[Medium, ...], path: Path, build: str = "b1") -> list[Unit]:
    done = {cell.identity for cell in runner.read_cells(path)}
    return runner.plan([system], media, ATTACKS, TRIALS, done=done, builds={system: build})


def test_trials_change_key_and_message_at_once() -> None:
    assert [Trial(0, 0), Trial(1, 1), Trial(0, 1), Trial(1, 0)] == TRIALS
    assert len(set(runner.trials_of(3, 2))) == 6


def test_a_run_measures_every_cell_once(corner: str, media: tuple[Medium, ...], tmp_path: Path) -> None:
    path = tmp_path / "cells.jsonl"
    units = plan(corner, media, path)
    cells = [cell for group in runner.run(units, path) for cell in group]
    assert len(cells) == len(TRIALS) * (3 + 2)
    assert runner.read_cells(path) == cells
    assert all(cell.recovered for cell in cells if cell.attack in ("identity", "reverse"))
    assert not any(cell.recovered for cell in cells if cell.attack in ("jpeg 10", "flip vertical"))
    assert plan(corner, media, path) == []


def test_a_stopped_run_resumes(corner: str, media: tuple[Medium, ...], tmp_path: Path) -> None:
    path = tmp_path / "cells.jsonl"
    stopped = runner.run(plan(corner, media, path), path)
    first = [next(stopped)[0] for _ in range(4)]
    with path.open("a") as file:
        file.write('{"system": "corner", "medi')  # a killed process tears its last line
    rest = [cell for group in runner.run(plan(corner, media, path), path) for cell in group]
    assert len(first) + len(rest) == len(TRIALS) * 5
    assert {cell.identity for cell in first}.isdisjoint(cell.identity for cell in rest)
    assert len(runner.read_cells(path)) == len(TRIALS) * 5


def test_a_detector_that_breaks_loses_the_cell_and_says_so(media: tuple[Medium, ...]) -> None:
    class Broken(CornerMark):
        def detect(self, frames: Frames, trial: Trial) -> Reading:
            raise ZeroDivisionError

    reading, error = runner.attacked_reading(Broken(), media[0].load(), a.Identity(), Trial(0, 0), "sky")
    assert (reading.recovered, reading.band, error) == (False, "crashed: ZeroDivisionError", None)


def test_results_of_another_build_do_not_count(
    corner: str, media: tuple[Medium, ...], tmp_path: Path
) -> None:
    path = tmp_path / "cells.jsonl"
    for _ in runner.run(plan(corner, media, path), path):
        pass
    assert len(plan(corner, media, path, build="b2")) == len(
        plan(corner, media, tmp_path / "none", build="b2")
    )


def test_the_build_follows_the_source() -> None:
    assert runner.build_of("assay") == runner.build_of("assay")
    assert runner.build_of("dwtDct") == runner.build_of("rivaGan") != runner.build_of("assay")


def cell(attack: str, *, recovered: bool, medium: str = "m", log10_p: float = -20.0) -> Cell:
    return Cell(
        "assay",
        medium,
        "image",
        attack,
        0,
        0,
        "b1",
        "512",
        recovered,
        log10_p,
        "detected",
        0.1,
        43.0,
        0.99,
        None,
        None,
    )


def test_promises_are_held_against_the_given_media() -> None:
    cells = [cell("jpeg 50", recovered=True), cell("jpeg 50", recovered=False, medium="n", log10_p=0.0)]
    cells += [cell("jpeg 50", recovered=False, medium="drawn sky"), cell("identity", recovered=True)]
    promises = [Promise("image", 0.9, (a.Jpeg(50), a.Identity(), a.Grayscale()))]
    jpeg, identity, grey = verdicts(cells, promises)
    assert (jpeg.trials, jpeg.recovered, jpeg.kept) == (2, 0.5, False)
    assert identity.kept
    assert (grey.trials, grey.kept) == (0, False)
    assert {miss.medium for miss in misses(cells, promises)} == {"n", "drawn sky"}
    assert by_attack(cells)[0].worst_log10_p == 0.0
    assert quality(cells)[0].media == 3


def test_words_of_fresh_keys_fill_the_bound_and_do_not_pass_it(
    corner: str, media: tuple[Medium, ...], tmp_path: Path
) -> None:
    """Of fair coins 68 % correlate below .48, where the bound is 1; the others scatter as it allows."""
    pairs = list(run_null("one word", 400, media[:1], tmp_path / "null.jsonl", build="b"))
    p = 10.0 ** np.array([pair.log10_p for pair in pairs])
    assert 0.6 < (p == 1).mean() < 0.76
    assert 0.02 < (p <= 0.3).mean() < 0.12  # the normal law says .06, the bound .3
    assert (p <= 0.03).mean() < 0.03
    assert not any(pair.found for pair in pairs)


def test_null_pairs_resume_and_give_a_tail(corner: str, media: tuple[Medium, ...], tmp_path: Path) -> None:
    path = tmp_path / "null.jsonl"
    assert len(list(run_null("unmarked", 3, media, path, build="b1"))) == 3
    assert len(list(run_null("unmarked", 5, media, path, build="b1"))) == 2
    assert len(list(run_null("wrong key", 2, media[:1], path, build="b1"))) == 2
    assert len(list(run_null("unmarked clip", 1, media[1:], path, build="b1"))) == 1
    assert list(run_null("unmarked", 5, (), path, build="b1")) == []
    pairs = read_pairs(path, "b1")
    assert read_pairs(path, "b2") == []
    rows = tail(pairs)
    assert [row.level for row in rows] == list(LEVELS) * 3
    assert rows[0].pairs == 5
    assert rows[0].hits == 0
    assert 0.4 < rows[0].upper < 0.5  # 1 - 0.05 ** (1 / 5)
    assert json.loads(path.read_text().splitlines()[0])["build"] == "b1"
