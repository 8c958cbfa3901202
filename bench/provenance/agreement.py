"""Does an independent reader (encypher-c2pa) agree which files are intact? Every difference is explained."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.provenance.rows import Row, show, write_summary
from provenance import TrustAnchors, one_line, read_manifest

RECORDED_SHARE: Final = 76 / 90
"""Agreement of the two libraries themselves over 90 public files, with identity assertions validated."""

DIFFERENCES: Final = {
    "contentauth__legacy.mp4": "an early kind of hard binding that theirs does not know",
    "contentauth__malformed_cbor.jpg": "an identity that cannot be read: ours counts it against "
    "the manifest, theirs against the identity alone",
    "contentauth__unresolvable_did.jpg": "an identity whose keys are on the web: ours counts it against the "
    "manifest, theirs against the identity alone",
    "contentauth__signature_mismatch.jpg": "an identity with a wrong signature: ours counts it against "
    "the manifest, theirs against the identity alone",
    "microsoft__bing_creator_cloud_surfing_puppy.jpg": "theirs cannot read this early manifest",
    "microsoft__cicadas_trusted.mp3": "theirs cannot read this ID3 tag and gives no code",
    "microsoft__cards_expired_without_timestamp.jpg": "expired certificate and no time-stamp: "
    "ours says invalid, theirs intact and signed outside validity",
    "microsoft__cards_trusted.svg": "SVG is not on our allow-list: it is a program as much as a picture",
    "Yogesh1290__videotest2.mp4": "the certificate has expired and the time-stamp is of no list: ours says "
    "invalid, theirs intact and signed outside validity",
}
"""Files on which the two disagree, and why."""


@dataclass(frozen=True)
class Agreement:
    """One file: the two answers to "is it intact?", and ours in plain words."""

    file: str
    ours: bool
    theirs: bool
    words: str

    @property
    def agree(self) -> bool:
        return self.ours is self.theirs


def compare_readers(folder: Path, *, identities: bool = True) -> list[Agreement]:
    """Ask both readers about every file of `folder`'s index.json, under the bundled claim list."""
    trust = TrustAnchors.bundled()
    return [
        _asked(folder / entry["file"], trust, identities=identities)
        for entry in json.loads((folder / "index.json").read_text())
    ]


def _asked(path: Path, trust: TrustAnchors, *, identities: bool) -> Agreement:
    report = read_manifest(path, trust, identities=identities)
    return Agreement(path.name, report.state.intact, _theirs(path, trust), one_line(report))


def _theirs(path: Path, trust: TrustAnchors) -> bool:
    import encypher_c2pa

    pem = "".join(anchors["trust_anchors"] for anchors in trust.as_settings()[:1])
    try:
        answer: dict[str, Any] = encypher_c2pa.verify(
            path, no_default_trust=True, trust_pem=pem, telemetry=False, online=False
        )
    except Exception:
        return False  # what it cannot read it does not call intact
    return bool(answer["integrity"] == "valid")


def run(out: Path, folder: Path) -> Row:
    """Print the tables, write the summary and return it."""
    plain = compare_readers(folder, identities=False)
    full = compare_readers(folder)
    show("every file in plain words", ("file", "words"), ((row.file, row.words) for row in full))
    show(
        "differences",
        ("file", "ours", "theirs", "why"),
        (
            (row.file, _word(row.ours), _word(row.theirs), DIFFERENCES.get(row.file, "NOT EXPLAINED"))
            for row in full
            if not row.agree
        ),
    )
    summary: Row = {
        "files": len(full),
        "agree": sum(row.agree for row in full),
        "agree_without_identities": sum(row.agree for row in plain),
        "recorded_share": RECORDED_SHARE,
        "unexplained": [row.file for row in full if not row.agree and row.file not in DIFFERENCES],
        "files_in_words": {row.file: row.words for row in full},
    }
    summary["share"] = summary["agree"] / summary["files"]
    write_summary(out / "agreement.json", summary)
    print(
        f"agree on {summary['agree']} of {summary['files']}; as used for verdicts (identities not "
        f"resolved): {summary['agree_without_identities']}; recorded share {RECORDED_SHARE:.3f}"
    )
    return summary


def _word(intact: bool) -> str:
    return "intact" if intact else "not intact"
