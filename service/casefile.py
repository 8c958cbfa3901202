"""A verification as a document that an analyst can file: HTML or PDF, complete, without anything to load.

Every string in it may come from an attacker's manifest. Control characters were dropped where they were read
(`provenance.text`); here HTML is escaped by the template engine, and PDF text is drawn, never interpreted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from fpdf import FPDF
from fpdf.enums import WrapMode
from jinja2 import Environment, PackageLoader, StrictUndefined

Row = dict[str, Any]

_TITLE: Final = "Verification of media"
_MARGIN: Final = 15.0
_HIDDEN: Final = frozenset({"explain", "file", "sha256", "verdict", "judged_at", "media", "parts"})
"""Shown elsewhere than in the list of all values."""
_TEMPLATES: Final = Environment(
    loader=PackageLoader("service", "web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_TONES: Final = {
    "made_here": "good",
    "made_here_manifest_recovered": "good",
    "transplanted_mark": "bad",
    "tampered": "bad",
    "signed_by_other": "note",
    "claims_ai_generated": "note",
}
NOTE: Final = (
    "Evidence, not a judgement: nothing here says that a picture is authentic or that it was not made by AI. "
    "The absence of marks and credentials proves nothing."
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One finding: its place in the JSON report, or its name, and its value as text."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """A share of a clip's time, in per cent, and what it carries: "ours", "other" or "none"."""

    kind: str
    share: float
    words: str


@dataclass(frozen=True, slots=True)
class Case:
    """What the document says of one file."""

    row: Row
    words: str
    means: str
    tone: str
    file: tuple[Fact, ...]
    evidence: tuple[Fact, ...]
    timeline: tuple[Stretch, ...]
    values: tuple[Fact, ...]

    @staticmethod
    def of(row: Row) -> Case:
        """`row` is `Report.to_json` with "file" and "sha256", or "file" and "error"."""
        verdict = row.get("verdict", "")
        return Case(
            row=row,
            words=_words(f"verdict.{verdict}", "Not read"),
            means=_words(f"means.{verdict}", row.get("error", {}).get("message", "")),
            tone=_TONES.get(verdict, "plain"),
            file=tuple(_identity(row)),
            evidence=tuple(_evidence(row)) if verdict else (),
            timeline=tuple(_timeline(row)) if verdict else (),
            values=tuple(facts_of(row)),
        )


def facts_of(row: Row) -> list[Fact]:
    """Every value of a report's row, in order; what is empty is left out."""
    return [fact for name, value in row.items() if name not in _HIDDEN for fact in _flat(name, value)]


def as_html(rows: Sequence[Row], *, version: str) -> str:
    """One page for all `rows`, each as `Case.of` takes it."""
    template = _TEMPLATES.get_template("casefile.html.jinja")
    return template.render(title=_TITLE, cases=[Case.of(row) for row in rows], note=NOTE, version=version)


def as_pdf(rows: Sequence[Row], *, version: str) -> bytes:
    """As `as_html`. The built-in fonts have Latin-1 alone: other characters are shown as \\uXXXX."""
    pdf = _Document(version)
    pdf.set_margin(_MARGIN)
    pdf.set_title(_TITLE)
    pdf.set_creator(f"Assay {version}")
    for row in rows:
        pdf.add_page()
        _write_case(pdf, Case.of(row))
    return bytes(pdf.output())


class _Document(FPDF):
    """Pages with their number, so that one that is missing from a file is missed."""

    def __init__(self, version: str) -> None:
        super().__init__(format="A4")
        self._made = f"Assay {version}"

    def footer(self) -> None:
        """Called by the library at the end of each page."""
        self.set_y(-_MARGIN)
        self.set_font("Helvetica", "", 8)
        self.cell(0, 5, f"{self._made}   {self.page_no()}/{{nb}}", align="R")


def _write_case(pdf: FPDF, case: Case) -> None:
    _line(pdf, _TITLE, size=16, bold=True)
    _line(pdf, f"{case.row['file']}: {case.words}", size=12, bold=True)
    _line(pdf, case.means)
    _table(pdf, case.file)
    _line(pdf, "Evidence", size=12, bold=True, gap=3)
    _table(pdf, case.evidence)
    for stretch in case.timeline:
        _line(pdf, stretch.words, size=9)
    _line(pdf, NOTE, size=9, gap=2)
    _line(pdf, "What this shows, and what it does not", size=12, bold=True, gap=3)
    for line in case.row.get("explain", ()):
        _line(pdf, line["fact"], bold=True, gap=2)
        _line(pdf, f"Shows: {line['means']}")
        _line(pdf, f"Does not prove: {line['does_not_prove']}")
    _line(pdf, "Examined by: ____________________   Date: ____________   Reference: ____________", gap=8)
    _line(pdf, "All values", size=12, bold=True, gap=4)
    for fact in case.values:
        _line(pdf, f"{fact.name}: {fact.value}", size=8)


def _table(pdf: FPDF, facts: tuple[Fact, ...]) -> None:
    for fact in facts:
        pdf.set_font("Helvetica", "B", 9)
        pdf.cell(32, 5, _latin(fact.name))
        pdf.set_font("Helvetica", "", 9)
        pdf.multi_cell(0, 5, _latin(fact.value), new_x="LMARGIN", new_y="NEXT", wrapmode=WrapMode.CHAR)


def _line(pdf: FPDF, text: str, *, size: float = 10, bold: bool = False, gap: float = 0) -> None:
    pdf.set_font("Helvetica", "B" if bold else "", size)
    pdf.ln(gap)
    pdf.multi_cell(0, 0.5 * size, _latin(text), new_x="LMARGIN", new_y="NEXT", wrapmode=WrapMode.CHAR)


def _latin(text: str) -> str:
    return text.encode("latin-1", "backslashreplace").decode("latin-1")


@cache
def _strings() -> dict[str, str]:
    found: dict[str, str] = json.loads(files("service").joinpath("web/strings.json").read_text("utf-8"))
    return found


def _words(key: str, otherwise: str) -> str:
    return _strings().get(key, otherwise)


def _identity(row: Row) -> Iterator[Fact]:
    media = row.get("media", {})
    yield Fact("SHA-256", row.get("sha256") or "not computed")
    if media:
        yield Fact("Type", f"{media['mime']}, {media['bytes']:,} bytes")
    if media.get("width"):
        length = f", {media['seconds']:.2f} s" if media["seconds"] else ""
        yield Fact("Picture", f"{media['width']} x {media['height']} pixels{length}")
    if media.get("problem"):
        yield Fact("Problem", media["problem"])
    if row.get("judged_at"):
        yield Fact("Judged at", row["judged_at"])


def _evidence(row: Row) -> Iterator[Fact]:
    mark, c2pa, record, likeness = row["watermark"], row["c2pa"], row["registry"], row["fingerprint"]
    parts, coverage = row["parts"] or [], row["coverage"] or {}
    found = mark["id"] or (parts[0]["id"] if parts else None)
    chance = min([mark["log10_p"], *(part["log10_p"] for part in parts)])
    yield Fact("Mark", f"{found}, by accident at most 10^{chance:.0f}" if found else "not found")
    if parts:
        yield Fact("Marked", f"{coverage['time']:.0%} of the time, {coverage['area']:.0%} of the picture")
    signer = (c2pa["signer"] or {}).get("organisation") or ""
    own = ", this installation's development authority" if c2pa["own_authority"] else ""
    yield Fact("Credentials", ", ".join(filter(None, (c2pa["state"], signer))) + own)
    yield Fact("Record", f"{record['id']} of {record['created_at']}" if record["found"] else "none")
    if record.get("revoked_at"):
        yield Fact("Withdrawn", record["revoked_at"])
    if likeness is not None:
        yield Fact("Likeness", f"{likeness['match']}, {likeness['compared']} views compared")


def _timeline(row: Row) -> Iterator[Stretch]:
    """The clip from end to end, marked and unmarked; nothing for stills, or where nobody looked."""
    length = row["media"]["seconds"]
    parts = [part for part in row["parts"] or () if part["end"] > part["start"]]
    if not length or not parts:
        return
    at, main = 0.0, parts[0]["id"]
    for part in sorted(parts, key=lambda part: part["start"]):
        start, end = max(at, part["start"]), min(length, part["end"])
        if end <= start:
            continue
        if start > at:
            yield _stretch("none", at, start, length, "no mark")
        kind = "ours" if part["id"] == main else "other"
        yield _stretch(kind, start, end, length, f"mark {part['id']}, {part['match'].replace('_', ' ')}")
        at = end
    if at < length:
        yield _stretch("none", at, length, length, "no mark")


def _stretch(kind: str, start: float, end: float, length: float, words: str) -> Stretch:
    return Stretch(kind, round(100 * (end - start) / length, 2), f"{start:.1f} to {end:.1f} s: {words}")


def _flat(name: str, value: Any) -> Iterator[Fact]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _flat(f"{name}.{index}", inner)
    elif value not in (None, ""):
        yield Fact(name, str(value))
