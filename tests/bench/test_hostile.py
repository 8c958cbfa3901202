"""Files made to hurt their reader, through the isolated reader; the bench reads 10,000 of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import c2pa
import numpy as np
import pytest

from bench.provenance import fuzz, hostile
from bench.provenance.house import House
from provenance import C2paState, TrustAnchors, one_line, read_manifest
from provenance.credentials import Ingredient
from service.inspection import Inspector

MUTATED = 24


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("hostile") / "house")


@pytest.fixture(scope="module")
def called() -> Iterator[tuple[str, list[str]]]:
    with fuzz.listener() as listening:
        yield listening


@pytest.fixture(scope="module")
def given(
    house: House, called: tuple[str, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    return fuzz.seeds(house, tmp_path_factory.mktemp("seeds"), called[0])


@pytest.fixture(scope="module")
def reader(house: House) -> Inspector:
    return fuzz.inspector(house)


def _written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_an_address_in_a_file_is_named_and_not_called(
    given: dict[str, bytes], called: tuple[str, list[str]], tmp_path: Path, reader: Inspector
) -> None:
    path = _written(tmp_path, "address.jpg", given["address.jpg"])
    report = read_manifest(path, TrustAnchors())
    assert (report.state, report.remote_url) == (C2paState.ABSENT, called[0])
    assert fuzz.answer(reader, path) == "read, credentials absent"
    assert called[1] == []


def test_the_library_alone_would_call_it(
    given: dict[str, bytes], called: tuple[str, list[str]], tmp_path: Path
) -> None:
    """Without this the test above could not fail."""
    path = _written(tmp_path, "address.jpg", given["address.jpg"])
    before = len(called[1])
    with path.open("rb") as file, pytest.raises(c2pa.C2paError):
        c2pa.Reader("image/jpeg", file)
    assert len(called[1]) == before + 1
    called[1].clear()


def test_a_bomb_is_refused_and_costs_no_memory(given: dict[str, bytes], tmp_path: Path) -> None:
    content = given["bomb.png"]
    assert len(content) < 100_000
    before = fuzz.resident_bytes()
    report = read_manifest(_written(tmp_path, "bomb.png", content), TrustAnchors())
    assert report.state is C2paState.INVALID
    assert "exceeds" in report.note
    assert fuzz.resident_bytes() - before < 64 * fuzz.MIB


def test_a_long_chain_of_ingredients_is_cut_off(given: dict[str, bytes], tmp_path: Path) -> None:
    def depth(ingredients: tuple[Ingredient, ...]) -> int:
        return max((1 + depth(one.ingredients) for one in ingredients), default=0)

    report = read_manifest(_written(tmp_path, "chain.png", given["chain.png"]), TrustAnchors())
    assert report.state is C2paState.VALID
    assert depth(report.ingredients) == 8
    assert "do not hold" not in one_line(report)


def test_mutated_files_are_read_or_refused(
    given: dict[str, bytes], called: tuple[str, list[str]], tmp_path: Path, reader: Inspector
) -> None:
    rng, names, answers = np.random.default_rng(5), list(given), []
    for number in range(MUTATED):
        content = given[names[number % len(names)]]
        spoiled = hostile.mutated(content, given[names[int(rng.integers(len(names)))]], rng)
        answers.append(fuzz.answer(reader, _written(tmp_path, "upload", spoiled)))
    assert not [answer for answer in answers if answer.startswith("contained")]
    assert called[1] == []
    assert len(set(answers)) > 1
