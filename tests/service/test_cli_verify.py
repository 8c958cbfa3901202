"""`assay verify` on files, folders, patterns, lists and standard input; hostile strings in its reports."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data

from provenance import (
    Agent,
    ManifestFacts,
    Record,
    SigningKey,
    TrustAnchors,
    create_dev_authority,
    sign_asset,
)
from service import keys
from service.casefile import as_html, as_pdf, facts_of
from service.cli.app import run
from service.cli.verify import cell
from service.settings import Settings
from service.wiring import open_services
from watermark import MediaId, write_image

HOSTILE = '=HYPERLINK("http://x")<script>alert(1)</script>\x1b[31m'
Assay = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    keys.create_keys(Settings(home=folder).keys, now=datetime.now(UTC))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain picture, one signed by somebody else with a hostile title, one that is no picture."""
    made = tmp_path_factory.mktemp("media")
    (made / "deep").mkdir()
    write_image(made / "plain.png", np.ascontiguousarray(skimage.data.coffee()[:160, :240]))
    now = datetime.now(UTC)
    authority = create_dev_authority(made.parent / "theirs", now=now)
    facts = ManifestFacts(
        title=HOSTILE, mime="image/png", media_id=MediaId(1), created_at=now, generator=Agent(HOSTILE, "1")
    )
    key = SigningKey.from_files(authority.chain, authority.key)
    sign_asset(made / "plain.png", made / "deep" / "signed.png", facts, key, trust=TrustAnchors())
    return made


@pytest.fixture
def assay(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Assay:
    monkeypatch.setenv("ASSAY_HOME", str(home))

    def call(*arguments: object) -> tuple[int, str]:
        code = run(["verify", *map(str, arguments)])
        return code, capsys.readouterr().out

    return call


def test_a_folder_as_csv_and_reports(assay: Assay, folder: Path, tmp_path: Path) -> None:
    code, text = assay(folder, "--format", "csv", "--report", tmp_path / "r.html")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [Path(row["file"]).name for row in rows] == ["signed.png", "plain.png"]
    assert [row["verdict"] for row in rows] == ["claims_ai_generated", "no_evidence"]
    assert (code, rows[0]["c2pa"], len(rows[0]["sha256"])) == (0, "valid", 64)
    page = (tmp_path / "r.html").read_text()
    assert "claims_ai_generated" in page
    assert "<script>" not in page
    assert "\x1b" not in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


def test_a_pattern_a_list_and_standard_input(
    assay: Assay, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "list").write_text(f"{folder / 'plain.png'}\n\n{folder / 'none.png'}\n")
    code, text = assay(folder / "p*.png", "--list", tmp_path / "list", "--format", "jsonl")
    rows = [json.loads(line) for line in text.splitlines()]
    assert [Path(row["file"]).name for row in rows] == ["plain.png", "none.png"]
    assert (code, rows[1]["error"]["reason"]) == (2, "not_found")
    given = io.TextIOWrapper(io.BytesIO((folder / "plain.png").read_bytes()))
    monkeypatch.setattr(sys, "stdin", given)
    code, text = assay("-", "--report", tmp_path / "r.pdf")
    assert (code, text.splitlines()[0]) == (1, "-: no_evidence")
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF-")


def test_what_cannot_be_asked(assay: Assay, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert assay()[0] == 2
    assert assay(tmp_path / "empty")[0] == 2
    assert assay(tmp_path / "none*.png")[0] == 2
    assert assay("x.png", "--report", tmp_path / "r.doc")[0] == 2
    assert assay("--list", tmp_path / "none")[0] == 2


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@x", "\t=1"])
def test_no_cell_is_a_formula(start: str) -> None:
    assert str(cell(start)).startswith("'")
    assert cell("plain") == "plain"
    assert cell(-12.5) == -12.5


def test_reports_hold_every_finding_and_no_markup() -> None:
    row: dict[str, Any] = {
        "file": HOSTILE,
        "sha256": "0" * 64,
        "verdict": "no_evidence",
        "judged_at": "2026-01-01",
        "c2pa": {"title": HOSTILE, "failures": [{"code": "x"}], "signer": None},
        "explain": [{"fact": HOSTILE, "means": "日本", "does_not_prove": "c"}],
    }
    assert [(fact.name, fact.value) for fact in facts_of(row)] == [
        ("c2pa.title", HOSTILE),
        ("c2pa.failures.0.code", "x"),
    ]
    row |= {
        "media": {"mime": "video/mp4", "bytes": 9, "width": 8, "height": 4, "seconds": 4.0, "problem": ""},
        "watermark": {"id": None, "log10_p": 0.0},
        "c2pa": row["c2pa"] | {"state": "absent", "own_authority": False},
        "registry": {"found": False},
        "fingerprint": None,
        "parts": [{"start": 1.0, "end": 3.0, "id": "0123456789ab", "log10_p": -9.0, "match": "match"}],
        "coverage": {"time": 0.5, "area": 1.0},
    }
    page = as_html([row, {"file": "b", "error": {"reason": "r", "message": "m"}}], version="1")
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "Not read" in page
    assert "1.0 to 3.0 s: mark 0123456789ab, match" in page
    assert 'class="none" style="flex: 25.0 0 0"' in page
    assert as_pdf([row, {"file": "b", "error": {"reason": "r", "message": "m"}}], version="1")[:4] == b"%PDF"


def test_records_are_revoked_deleted_and_pruned(
    assay: Assay, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = open_services(Settings(home=home)).registry
    for number in (0xA, 0xB):
        registry.claim(MediaId(number))
        registry.add(
            Record(
                media_id=MediaId(number),
                key_id="0.0",
                manifest_label=None,
                manifest=None,
                fingerprint=None,
                created_at=datetime.now(UTC) - timedelta(days=40),
                tenant="ada",
            )
        )
    one = MediaId(0xA).hex
    assert run(["records", "revoke", one, "--tenant", "bob"]) == 2
    assert run(["records", "revoke", one, "--tenant", "ada"]) == 0
    assert run(["records", "delete", one]) == 0
    assert run(["records", "delete", one]) == 2
    assert run(["records", "delete", "xyz"]) == 2
    capsys.readouterr()
    assert run(["records", "prune", "--older-than", "30"]) == 0
    assert capsys.readouterr().out.startswith("1 records")
    assert registry.by_media_id(MediaId(0xB)) is not None
    assert run(["records", "prune", "--older-than", "30", "--yes"]) == 0
    assert registry.by_media_id(MediaId(0xB)) is None
