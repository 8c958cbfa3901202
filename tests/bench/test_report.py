"""The report is built from a handful of results, and the command line runs end to end."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench import speed
from bench.watermark import attacks as a
from bench.watermark import main, plots, security, sheets, synthetic
from bench.watermark.media import drawn_media
from bench.watermark.null import NullPair
from bench.watermark.report import Results, write_report
from bench.watermark.runner import Cell
from bench.watermark.security import SecurityRow
from bench.watermark.suite import Promise


def cells() -> list[Cell]:
    def one(system: str, medium: str, kind: str, quality: int) -> Cell:
        accuracy = None if system == "assay" else 0.9
        what = (system, medium, kind, f"jpeg {quality}", 0, 0, "b", "512")
        return Cell(*what, quality > 20, -quality / 2, "detected", 0.2, 43.1, 0.995, accuracy, 0.1)

    return [
        one(system, medium, kind, quality)
        for system in ("assay", "peer <one>")
        for medium, kind in (("photo & co", "image"), ("clip", "video"))
        for quality in (10, 50, 90)
    ]


def test_a_report_is_one_file_and_escapes_names(tmp_path: Path) -> None:
    results = Results(
        "b",
        cells(),
        (Promise("image", 1.0, (a.Jpeg(50), a.Jpeg(10), a.Grayscale())),),
        [NullPair("unmarked", "m", 1, -0.5, False, "none", 0.2, "b")],
        [SecurityRow("averaging, forge", 5, 42.0, "none", False, 0.0)],
        [speed.Timing("embed", 0.5, 0.9, 0.25), speed.Timing("peer", 0.5, 0.9, None)],
        {"sheet": np.zeros((4, 4, 3), np.uint8)},
    )
    html = write_report(results, tmp_path).read_text()
    for text in (
        "photo &amp; co",
        "peer &lt;one&gt;",
        "kept",
        "broken",
        "not run",
        "data:image/png",
        "<svg",
        "2.00",
    ):
        assert text in html
    assert "http://" not in html.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    figures = json.loads((tmp_path / "report.json").read_text())
    assert [row["kept"] for row in figures["promises"]] == [True, False, False]
    assert figures["misses"][0]["attack"] == "jpeg 10"


def test_an_empty_report_still_renders(tmp_path: Path) -> None:
    assert "Watermark robustness" in write_report(Results("b"), tmp_path).read_text()


def test_strengths_are_read_from_names() -> None:
    assert plots.strength("jpeg 50", "jpeg") == 50
    assert plots.strength("h264 crf 28 then 32", "h264 crf") is None
    assert plots.strength("jpeg 60 + crop 0.71", "crop") is None


def test_sheets_show_the_difference() -> None:
    source = np.full((2, 2, 3), 100, np.uint8)
    assert sheets.difference(source, source + 2)[0, 0].tolist() == [168, 168, 168]
    picture = drawn_media(side=256, frames=2, height=256)[0]
    assert sheets.sheet([picture], height=32).shape[0] == 32 + sheets.GAP
    assert sheets.visibility(picture, zoom=2, side=128).shape == (128, 256 + sheets.GAP, 3)


def test_a_pattern_is_folded_by_blocks() -> None:
    tile = np.random.default_rng(0).standard_normal((171, 213, 3)).astype(np.float32)
    repeated = np.tile(tile, (3, 3, 1))[:512, :512]
    assert np.allclose(security.fold(repeated)[:171, :213], tile, atol=1e-5)
    noise = np.random.default_rng(1).standard_normal((512, 512, 3)).astype(np.float32)
    assert security.fold(noise).std() < 0.6 * noise.std()


def test_added_patterns_have_the_asked_strength() -> None:
    picture = synthetic.scene(64, 64)
    pattern = np.random.default_rng(0).standard_normal(picture.shape).astype(np.float32)
    forged = security.add(picture, pattern, 40.0)
    assert -20 * np.log10((forged.astype(float) - picture).std() / 255) == pytest.approx(40, abs=0.3)


def test_security_trials_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "SIDE", 256)
    monkeypatch.setattr(security, "FOLDED_FRAMES", (1,))
    monkeypatch.setattr(security, "FOLLOW_UPS", (a.Crop(0.71),))
    clip = synthetic.pan(2, 256, 256)
    rows = list(security.run_security([], clip, counts=(2,), victims=1))
    assert [row.attack for row in rows] == [
        "own residual, subtract", "own residual, subtract, then crop 0.71", "averaging, forge",
        "averaging, subtract", "known ids, forge a new id", "known ids, subtract",
        "averaging, subtract, then crop 0.71", "keyless fold, forge", "residual transplant",
    ]  # fmt: skip
    assert not next(row for row in rows if row.attack == "keyless fold, forge").message


def test_timings_know_their_limit() -> None:
    kept = speed.timed("x", lambda: sum(range(1000)), repeats=2, limit=10.0, share=2)
    assert 0 < kept.cpu < 1
    assert kept.ratio == kept.seconds / 10
    assert speed.Timing("x", 2.0, 2.0, None).ratio is None
    assert speed.table([kept]).row_count == 1


def test_the_command_line_runs_and_reports(corner: str, tmp_path: Path) -> None:
    command = [
        "--out", str(tmp_path), "--quick", "--side", "64", "--frames", "2", "--height", "64", "--null", "4",
        "--wrong-keys", "2", "--only", "drawn sky", "drawn pan", "--systems", corner, "videoseal",
        "--attacks", "identity", "jpeg 50", "--parts", "robustness", "null", "report",
    ]  # fmt: skip
    assert main(command) == 0
    lines = (tmp_path / "cells.jsonl").read_text().splitlines()
    assert {json.loads(line)["attack"] for line in lines} == {"identity", "jpeg 50"}
    assert main(command) == 0
    assert (tmp_path / "cells.jsonl").read_text().splitlines() == lines
    assert (tmp_path / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    "wrong",
    [["--attacks", "nonesuch"], ["--only", "nonesuch"], ["--media", "nonesuch"], ["--systems", "nonesuch"]],
)
def test_a_bad_request_is_exit_code_2(
    wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path), "--quick", "--parts", "robustness", *wrong]) == 2
    assert "error:" in capsys.readouterr().out


def test_the_attacks_can_be_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path), "--list", "--suite", "core"]) == 0
    assert "jpeg 50" in capsys.readouterr().out
