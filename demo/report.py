"""The two results of the demonstration: one HTML page to look at, one JSON file to check."""

import json
from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from jinja2 import Environment
from PIL import Image

from demo import copies
from demo.cases import Case, picture_bytes

PAGE = Path(__file__).with_name("report.html.jinja")


def write_json(cases: Sequence[Case], path: Path) -> None:
    """A list of cases: name, expected, verdict, p_value (0 where too small for a float), log10_p, seconds."""
    path.write_text(json.dumps([case.row() for case in cases], indent=1) + "\n")


def write_html(cases: Sequence[Case], original: Path, marked: Path, path: Path) -> None:
    """Contact sheet, verdicts with explanations, and the mark made visible, in one file."""
    pictures = [(case, _inline(case.media)) for case in cases]
    page = Environment(autoescape=True).from_string(PAGE.read_text())
    html = page.render(
        cases=pictures, passed=sum(case.passed for case in cases), difference=_difference(original, marked)
    )
    path.write_text(html)


def _inline(media: Path | None) -> str:
    return b64encode(picture_bytes(media)).decode() if media else ""


def _difference(original: Path, marked: Path) -> str:
    out = BytesIO()
    Image.fromarray(copies.difference(original, marked)).save(out, "PNG")
    return b64encode(out.getvalue()).decode()
