from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import Labels, ReadError, read_labels
from provenance.labels import SCAN_BYTES, _aigc, _source_type

AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
AS_ATTRIBUTE = f'<x:xmpmeta><rdf:Description Iptc4xmpExt:DigitalSourceType="{AI}"/></x:xmpmeta>'
AS_ELEMENT = f"<x:xmpmeta><Iptc4xmpExt:DigitalSourceType>{AI}</Iptc4xmpExt:DigitalSourceType></x:xmpmeta>"
AS_RESOURCE = f'<x:xmpmeta><Iptc4xmpExt:DigitalSourceType rdf:resource="{AI}"/></x:xmpmeta>'
AIGC = '{"AIGC": {"Label": "1", "ContentProducer": "studio\u202e", "ProduceID": "7"}}'


def _read(folder: Path, content: bytes) -> Labels:
    path = folder / "file"
    path.write_bytes(content)
    return read_labels(path)


@pytest.mark.parametrize("packet", [AS_ATTRIBUTE, AS_ELEMENT, AS_RESOURCE])
@pytest.mark.parametrize("before", [0, SCAN_BYTES + 10])
def test_source_type_is_found_at_either_end(packet: str, before: int, tmp_path: Path) -> None:
    labels = _read(tmp_path, bytes(before) + packet.encode() + b"tail")
    assert labels.source_type == "trainedAlgorithmicMedia"
    assert labels.claims_ai


def test_aigc_label(tmp_path: Path) -> None:
    labels = _read(tmp_path, b"\x89PNG" + AIGC.encode() + b"more")
    assert dict(labels.aigc) == {"Label": "1", "ContentProducer": "studio", "ProduceID": "7"}
    assert labels.claims_ai


@pytest.mark.parametrize(
    "content",
    [
        b"",
        AI.encode(),
        AS_ATTRIBUTE.replace("trainedAlgorithmicMedia", "digitalCapture").encode(),
        b'{"AIGC": {"Label": "2"}}',
        b'{"AIGC": {"Label": broken}}',
        b"<x:xmpmeta>" + bytes(100),
    ],
)
def test_what_claims_nothing(content: bytes, tmp_path: Path) -> None:
    assert not _read(tmp_path, content).claims_ai


@given(st.binary(max_size=400))
def test_rubbish_claims_nothing(rubbish: bytes) -> None:
    assert _source_type(b"<x:xmpmeta>" + rubbish + b"</x:xmpmeta>") == ""
    assert _aigc(b'{"AIGC": {' + rubbish) == ()


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="cannot be read"):
        read_labels(tmp_path / "none")
