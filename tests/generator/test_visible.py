"""The visible label: where it stands, what it may say, and that the mark is read from under it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from generator import MediaMarker, RequestError
from generator.visible import WORDS, Labelling, Place, VisibleLabel
from provenance import SourceType, read_labels, read_manifest
from tests.generator.conftest import MEDIA_ID, Desk


def _changed(label: VisibleLabel, height: int = 288, width: int = 512) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of what a label changed on grey."""
    frames = torch.full((2, 3, height, width), 0.5)
    label.drawn_on(frames)
    rows, columns = np.nonzero((frames[1, 0] != 0.5).numpy())
    return int(rows.min()), int(columns.min()), int(rows.max()), int(columns.max())


@pytest.mark.parametrize("place", Place)
def test_it_stands_where_it_was_put(place: Place) -> None:
    top, left, bottom, right = _changed(VisibleLabel(place=place))
    assert (bottom < 144) == place.startswith("top")
    if place not in (Place.TOP, Place.BOTTOM):
        assert (right < 256) == place.endswith("left")
    assert min(top, left) > 0
    assert bottom < 287
    assert right < 511
    assert bottom - top > 0.05 * 288


def test_decoded_values_are_drawn_on_as_well() -> None:
    unit, decoded = torch.full((1, 3, 256, 256), 0.5), torch.full((1, 3, 256, 256), 0.0)
    VisibleLabel().drawn_on(unit)
    VisibleLabel().drawn_on(decoded, low=-1.0, span=2.0)
    assert torch.allclose(unit * 2 - 1, decoded, atol=1e-6)
    assert float(unit.max()) > 0.95


def test_a_long_text_is_set_smaller() -> None:
    assert _changed(VisibleLabel(text="w" * 60, height=0.2), 256, 256)[3] < 256


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"text": "AI生成"}, "no letters 生成"),
        ({"language": "zh"}, "give a font"),
        ({"language": "xx"}, "language"),
        ({"height": 0.5}, "height"),
        ({"text": "two\nlines"}, "one line"),
        ({"font": Path("missing.ttf")}, "cannot be read"),
    ],
)
def test_what_cannot_be_drawn_is_said(given: dict[str, Any], why: str) -> None:
    with pytest.raises(RequestError, match=why):
        VisibleLabel(**given)


def test_most_languages_need_no_font() -> None:
    assert [VisibleLabel(language=name).words for name in WORDS if name not in ("ja", "ko", "zh")]


@pytest.mark.parametrize("ai", [True, False], ids=["made by AI", "not said to be"])
def test_a_marked_file_carries_it_when_ai_made_it(
    ai: bool, keys: dict[str, Any], desk: Desk, tmp_path: Path
) -> None:
    source = tmp_path / "photo.png"
    Image.fromarray(data.astronaut()).save(source)
    labelling = Labelling(visible=VisibleLabel(place=Place.TOP_LEFT), aigc_producer="studio")
    marker = replace(MediaMarker(folder=tmp_path / "out", **keys), labelling=labelling)
    stated = SourceType.TRAINED_ALGORITHMIC if ai else None
    released = marker.mark(source, MEDIA_ID, register=desk, source_type=stated)
    before, after = (np.asarray(Image.open(path).convert("RGB"), int) for path in (source, released.path))
    corner = np.abs(after - before)[12:32, 12:100].mean()
    assert (corner > 30) == ai
    assert marker.detector.detect([after.astype(np.uint8)]).media_id == MEDIA_ID
    said = dict(read_manifest(released.path, marker.trust).statements).get("visible_label")
    assert said == ("AI-generated" if ai else None)
    assert bool(read_labels(released.path).aigc) == ai
