"""Labels outside C2PA, written before signing: the IPTC digital source type, and the AIGC label of GB 45438.

They are for readers that know nothing of C2PA. Any tool can write or remove them; inside a file of ours the
manifest's hash covers them. Where each goes (`provenance.carriers`): pictures carry both in an XMP packet
(ISO 16684-1; TC260-PG-20259A), MP4 and MOV an XMP box and the metadata key `AIGC` (TC260-PG-20257A), sound
files their own kind of text field (TC260-PG-202510A).
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from provenance import carriers
from provenance.bmff import append_xmp, insert_movie_key, insert_still_xmp
from provenance.errors import ManifestError, SigningError

AIGC_KEY: Final = "AIGC"
XMP_NAMESPACES: Final = (
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    ' xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/"'
)
_PLAIN: Final = re.compile(r"[!#-\[\]-~]{1,128}")
"""Letters, digits and signs of ASCII without space, quotation mark and backslash, as Annex E asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AigcLabel:
    """The implicit label of GB 45438-2025, Annex E. `producer` names the provider (its name or social credit
    code), `produce_id` the work; the others are for whoever passes it on. Raises `ManifestError`.
    """

    producer: str
    produce_id: str
    label: str = "1"
    propagator: str = ""
    propagate_id: str = ""
    reserved1: str = ""
    reserved2: str = ""

    def __post_init__(self) -> None:
        for name in ("producer", "produce_id", "propagator", "propagate_id", "reserved1", "reserved2"):
            text = getattr(self, name)
            if not _PLAIN.fullmatch(text) and (text or name.startswith("produce")):
                raise ManifestError(
                    f"AIGC label, {name}: {text!r}; use 1 to 128 letters, digits and signs of ASCII, without "
                    "spaces, quotation marks and backslashes"
                )
        if self.label not in ("1", "2", "3"):
            raise ManifestError(f"AIGC label: {self.label!r}; 1 is generated, 2 possibly, 3 suspected")

    def to_json(self) -> str:
        """The seven fields in the order of the standard, compact."""
        fields = {
            "Label": self.label,
            "ContentProducer": self.producer,
            "ProduceID": self.produce_id,
            "ReservedCode1": self.reserved1,
            "ContentPropagator": self.propagator,
            "PropagateID": self.propagate_id,
            "ReservedCode2": self.reserved2,
        }
        return json.dumps(fields, separators=(",", ":"))


def write_labels(
    source: Path, target: Path, mime: str, *, source_type: str, aigc: AigcLabel | None = None
) -> None:
    """Copy `source` to `target` with `source_type` (an IPTC URI) and, where given, `aigc` in its metadata.

    JPEG, PNG, WebP, AVIF, HEIC, MP4, MOV, M4A, WAV, MP3 and FLAC; pixels and samples stay as they are, byte
    by byte, and so does earlier metadata. Clips are copied, never held in memory. Raises `SigningError` for
    another type, or a file whose parts do not fit together.
    """
    statement = xmp_statement(source_type, aigc)
    text = aigc.to_json() if aigc is not None else ""
    try:
        if mime in ("video/mp4", "video/quicktime", "audio/mp4"):
            _label_movie(source, target, statement, text)
        elif mime in ("image/avif", "image/heic", "image/heif"):
            target.write_bytes(insert_still_xmp(source.read_bytes(), statement))
        else:
            target.write_bytes(_labelled(source.read_bytes(), mime, statement, text))
    except (ValueError, LookupError) as error:
        raise SigningError(f"{source.name}: cannot be labelled: {error}") from error
    except OSError as error:
        raise SigningError(f"{target.name}: cannot be written: {error.strerror}") from error


def xmp_statement(source_type: str, aigc: AigcLabel | None = None) -> str:
    """One `rdf:Description` that says it all."""
    inside = f"<Iptc4xmpExt:DigitalSourceType>{escape(source_type)}</Iptc4xmpExt:DigitalSourceType>"
    if aigc is not None:
        inside += f"<TC260:AIGC>{escape(aigc.to_json())}</TC260:AIGC>"
    return f'<rdf:Description rdf:about="" {XMP_NAMESPACES}>{inside}</rdf:Description>'


def _label_movie(source: Path, target: Path, statement: str, text: str) -> None:
    if text:
        insert_movie_key(source, target, AIGC_KEY, text)
    else:
        shutil.copyfile(source, target)
    append_xmp(target, carriers.xmp_packet(statement))


def _labelled(content: bytes, mime: str, statement: str, text: str) -> bytes:
    write = carriers.PICTURES.get(mime)
    if write is not None:
        return write(content, statement)
    sound = carriers.SOUNDS.get(mime)
    if sound is None:
        raise ValueError(f"no place for labels in {mime}")
    return sound(content, carriers.xmp_packet(statement), text)
