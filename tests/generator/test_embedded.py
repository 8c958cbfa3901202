"""The generator that ships with the package, through the same code as the large ones."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from generator import (
    EMBEDDED,
    LoadError,
    QualityRules,
    Request,
    RequestError,
    SafeGenerator,
    load_system,
    system_named,
)
from generator.tiny import TinyError, load_settings, weights_folder
from guard import Guard
from provenance import InMemoryRegistry, inspect_media, judge
from provenance.report import Verdict
from tests.generator.conftest import MEDIA_ID, PROMPT_KEY, Desk
from watermark import MediaLimits


def test_its_row_is_what_it_was_trained_for() -> None:
    spec = system_named(EMBEDDED)
    settings = asdict(load_settings())
    assert {name: getattr(spec, name) for name in settings} == settings
    spec.complete(Request(prompt="a boat"))
    with pytest.raises(RequestError, match="only"):
        spec.complete(Request(prompt="a boat", width=416, height=256))


def test_missing_weights_are_a_load_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise TinyError("no weights")

    monkeypatch.setattr("generator.load.weights_folder", missing)
    with pytest.raises(LoadError, match="no weights"):
        load_system()


@pytest.mark.parametrize("tiled", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["whole", "tiled"])
def test_a_short_clip_of_it_is_made_here(
    guard: Guard, keys: dict[str, Any], desk: Desk, tmp_path: Path, tiled: bool
) -> None:
    weights_folder()
    system = load_system()
    if tiled:
        system.pipeline.vae.enable_tiling()
    # Two steps make fog, not scenery: what is tested here is the path, and that its pictures can be judged at
    # all.
    safe = SafeGenerator(
        system=system,
        guard=guard,
        prompt_key=PROMPT_KEY,
        quality=replace(QualityRules(), max_frozen=1.0),
        folder=tmp_path / "out",
        **keys,
    )
    request = Request(prompt="a red balloon over a calm sea", frames=5, steps=2, seed=1)
    released = safe.generate(request, MEDIA_ID, register=desk)
    evidence = inspect_media(released.path, detector=safe.detector, trust=safe.trust, limits=MediaLimits())
    report = judge(evidence, InMemoryRegistry([released.record]), now=safe.clock())
    assert report.verdict is Verdict.MADE_HERE
    assert released.asset.marked.detection.log10_p <= -6
