"""What an inspection of one untrusted file found: plain values, bounded, ready to cross a process border."""

from __future__ import annotations

from dataclasses import dataclass

from provenance.credentials import C2paReport
from provenance.fingerprint import Views
from provenance.labels import Labels
from watermark import AudioDetection, Detection, Located


@dataclass(frozen=True, slots=True)
class Evidence:
    """`detection` and `views` are None where the file holds no readable picture; `problem` then says why.
    `sound` is None where it holds no readable sound, or nobody listened; `parts`, which seconds and which
    regions carry which id, where nobody looked for them.

    `sha256` (hexadecimal) is of the whole file, `width` and `height` in pixels, `seconds` 0 for a still.
    Pickles to less than 1 MB.
    """

    size: int
    mime: str
    width: int
    height: int
    seconds: float
    detection: Detection | None
    views: Views | None
    c2pa: C2paReport
    labels: Labels
    problem: str = ""
    sha256: str = ""
    sound: AudioDetection | None = None
    parts: tuple[Located, ...] | None = None
