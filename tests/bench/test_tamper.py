"""A sample of the tampering bench; the bench itself forges 500 copies."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.provenance import tamper
from bench.provenance.forgeries import FORGERIES
from bench.provenance.house import House
from bench.provenance.rows import Results
from provenance import Verdict

SAMPLE = tuple(
    f"{way.__name__}/{suffix}/0"
    for way, suffix in zip(FORGERIES, (".png", ".jpg", ".png", ".webp") * 6, strict=True)
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("tamper") / "house")


def test_the_outputs_themselves_are_made_here(house: House) -> None:
    for suffix in (".png", ".jpg", ".webp"):
        output = house.output(0, suffix, frames=1, **tamper.SIZE)
        assert house.judge(output.path).verdict is Verdict.MADE_HERE


@pytest.mark.parametrize("case", SAMPLE[::2])
def test_a_tampered_copy_is_not_made_here(case: str, house: House) -> None:
    assert tamper.measure(house, case)["verdict"] != Verdict.MADE_HERE


@pytest.mark.slow
@pytest.mark.parametrize("case", [f"{way.__name__}/.mp4/0" for way in FORGERIES[1::3]])
def test_a_tampered_clip_is_not_made_here(case: str, house: House) -> None:
    assert tamper.measure(house, case)["verdict"] != Verdict.MADE_HERE


def test_cases_are_distinct_and_cover_every_way_and_format() -> None:
    names = tamper.cases(tamper.COUNT)
    assert len(set(names)) == tamper.COUNT == 500
    assert {name.split("/")[0] for name in names} == {way.__name__ for way in FORGERIES}
    assert {name.split("/")[1] for name in names} == set(tamper.SUFFIXES)


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    results, asked = Results(tmp_path / "rows.jsonl"), []

    def measure(case: str) -> dict[str, str]:
        asked.append(case)
        return {"seen": case}

    results.complete("first", ["a", "b"], measure)
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write('{"case": "c", "se')  # killed while writing
    rows = results.complete("second", ["a", "b", "c"], measure)
    assert asked == ["a", "b", "c"]
    assert [row["seen"] for row in rows] == ["a", "b", "c"]
