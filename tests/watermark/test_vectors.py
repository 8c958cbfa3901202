"""The vectors of docs/spec/vectors: what a second implementation reproduces, and what no change may alter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from watermark import KeyRing, MediaId
from watermark.coding import encode
from watermark.keys import MarkKey
from watermark.layout import CHANNELS, lay_chips, lay_pilot
from watermark.pattern import render
from watermark.payload import encode_payload

VECTORS = Path(__file__).parents[2] / "docs" / "spec" / "vectors" / "version-1.json"


def compute(master: str, deployment: str, epoch: int, subkey: int, media_id: str) -> dict[str, Any]:
    """Everything that the vectors hold for one key and id."""
    ring = KeyRing.derive(bytes.fromhex(master), deployment=deployment, epoch=epoch)
    key = ring.subkey(subkey)
    bits = encode_payload(MediaId.parse(media_id), key.payload_seed)
    return {
        "pilot_seed": key.pilot_seed.hex(),
        "payload_seed": key.payload_seed.hex(),
        "message": np.packbits(bits).tobytes().hex(),
        "coded": np.packbits(encode(bits)).tobytes().hex(),
        "channels": {channel.name: _channel(key, channel) for channel in CHANNELS},
        "pattern_256x384": _pattern(key, media_id),
    }


def _channel(key: MarkKey, channel: Any) -> dict[str, Any]:
    chips, pilot = lay_chips(key.payload_seed, channel), lay_pilot(key.pilot_seed, channel)
    return {
        "signs_row_0_columns_0_to_31": chips.signs[0, :32].tolist(),
        "bits_row_17_columns_0_to_31": chips.bits[17, :32].tolist(),
        "frequencies_0_to_2": pilot.frequencies[:3].round(9).tolist(),
        "phases_0_to_2": pilot.phases[:3].round(9).tolist(),
    }


def _pattern(key: MarkKey, media_id: str) -> dict[str, Any]:
    planes = render(key, MediaId.parse(media_id), 256, 384, 1)
    places = [(0, 0), (100, 200), (255, 383)]
    return {
        channel.name: [[*place, round(float(plane[place]), 3)] for place in places]
        for channel, plane in zip(CHANNELS, planes, strict=True)
    }


def cases() -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads(VECTORS.read_text())["cases"]
    return loaded


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["input"]["media_id"])
def test_vectors(case: dict[str, Any]) -> None:
    computed, expected = compute(**case["input"]), case["output"]
    patterns = computed.pop("pattern_256x384"), expected.pop("pattern_256x384")
    assert computed == expected
    for channel in CHANNELS:
        assert np.allclose(patterns[0][channel.name], patterns[1][channel.name], atol=0.01)
