"""A verification as a document that an analyst can file: HTML or PDF, complete, without anything to load.

Every string in it may come from an attacker's manifest. Control characters were dropped where they were read
(`provenance.text`); here HTML is escaped by the template engine, and PDF text is drawn, never interpreted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fpdf import FPDF
from fpdf.enums import WrapMode
from jinja2 import Environment, PackageLoader, StrictUndefined

Row = dict[str, Any]

_TITLE: Final = "Verification of media"
_MARGIN: Final = 15.0
_HIDDEN: Final = frozenset({"explain", "file", "sha256", "verdict", "judged_at"})
"""Shown elsewhere than in the list of findings."""
_TEMPLATES: Final = Environment(
    loader=PackageLoader("service", "web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
NOTE: Final = (
    "Evidence, not a judgement: nothing here says that a picture is authentic or that it was not made by AI. "
    "The absence of marks and credentials proves nothing."
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One finding: its place in the JSON report and its value as text."""

    name: str
    value: str


def facts_of(row: Row) -> list[Fact]:
    """Every value of a report's row, in order; what is empty is left out."""
    return [fact for name, value in row.items() if name not in _HIDDEN for fact in _flat(name, value)]


def as_html(rows: Sequence[Row], *, version: str) -> str:
    """One page for all `rows`, each `Report.to_json` with "file" and "sha256", or with "error"."""
    cases = [(row, facts_of(row)) for row in rows]
    template = _TEMPLATES.get_template("casefile.html.jinja")
    return template.render(title=_TITLE, cases=cases, note=NOTE, version=version)


def as_pdf(rows: Sequence[Row], *, version: str) -> bytes:
    """As `as_html`. The built-in fonts have Latin-1 alone: other characters are shown as \\uXXXX."""
    pdf = FPDF(format="A4")
    pdf.set_margin(_MARGIN)
    pdf.set_title(_TITLE)
    pdf.set_creator(f"Assay {version}")
    for row in rows:
        pdf.add_page()
        _write_case(pdf, row)
    return bytes(pdf.output())


def _write_case(pdf: FPDF, row: Row) -> None:
    _line(pdf, _TITLE, size=16, bold=True)
    _line(pdf, f"{row['file']}: {row.get('verdict', 'not read')}", size=12, bold=True)
    for name in ("judged_at", "sha256"):
        if row.get(name):
            _line(pdf, f"{name.replace('_', ' ')}: {row[name]}")
    _line(pdf, NOTE)
    for line in row.get("explain", ()):
        _line(pdf, line["fact"], bold=True, gap=2)
        _line(pdf, f"means: {line['means']}")
        _line(pdf, f"does not prove: {line['does_not_prove']}")
    _line(pdf, "Findings", size=12, bold=True, gap=4)
    for fact in facts_of(row):
        _line(pdf, f"{fact.name}: {fact.value}", size=8)


def _line(pdf: FPDF, text: str, *, size: float = 10, bold: bool = False, gap: float = 0) -> None:
    pdf.set_font("Helvetica", "B" if bold else "", size)
    pdf.ln(gap)
    shown = text.encode("latin-1", "backslashreplace").decode("latin-1")
    pdf.multi_cell(0, 0.5 * size, shown, new_x="LMARGIN", new_y="NEXT", wrapmode=WrapMode.CHAR)


def _flat(name: str, value: Any) -> Iterator[Fact]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _flat(f"{name}.{index}", inner)
    elif value not in (None, ""):
        yield Fact(name, str(value))
