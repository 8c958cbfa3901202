"""The shipped folder: loads like any diffusers model, makes a clip, and weighs little."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiffusionPipeline

from generator import tiny
from generator.tiny import TinyError, load_settings, weights_folder
from generator.tiny.evaluate import generate
from generator.tiny.pack import MOST_BYTES


@pytest.fixture(scope="module")
def pipeline() -> Any:
    torch.set_num_threads(1)
    loaded = DiffusionPipeline.from_pretrained(str(weights_folder()), dtype=torch.float32)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def small(**changes: float) -> tiny.TinySettings:
    values = {"width": 64, "height": 480, "frames": 9, "fps": 12, "steps": 2, "guidance": 2.0}
    return tiny.TinySettings(**{**values, "max_sequence_length": 40, **changes})  # type: ignore[arg-type]


def test_stock_classes(pipeline: Any) -> None:
    names = [
        type(part).__name__ for part in (pipeline, pipeline.transformer, pipeline.vae, pipeline.text_encoder)
    ]
    assert names == ["WanPipeline", "WanTransformer3DModel", "AutoencoderKLWan", "UMT5EncoderModel"]


def test_small_clip(pipeline: Any) -> None:
    clip = generate(pipeline, "a red balloon over a blue sea at dusk", small(), seed=1)
    assert clip.shape == (9, 3, 480, 64)
    assert torch.isfinite(clip).all()
    assert float(clip.min()) >= 0
    assert float(clip.max()) <= 1
    assert float(clip.std()) > 0.02


def test_same_seed_same_clip_and_text_matters(pipeline: Any) -> None:
    settings = small(frames=1)
    night, again = (generate(pipeline, "a blue sea at night", settings, seed=2) for _ in range(2))
    noon = generate(pipeline, "a blue sea at noon", settings, seed=2)
    assert torch.equal(night, again)
    assert float(noon.mean() - night.mean()) > 0.1


def test_weights_are_light() -> None:
    assert sum(path.stat().st_size for path in weights_folder().rglob("*.safetensors")) <= MOST_BYTES


def test_settings_fit_the_model(pipeline: Any) -> None:
    settings = load_settings()
    assert min(settings.width, settings.height) >= 480
    assert settings.frames / settings.fps >= 2
    assert settings.frames % 4 == 1
    assert settings.height % (16 * pipeline.transformer.config.patch_size[1]) == 0
    assert settings.width % (16 * pipeline.transformer.config.patch_size[2]) == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "cannot read"),
        ("", "cannot read"),
        ("[]", "must hold exactly"),
        ('{"width": 832}', "must hold exactly"),
    ],
)
def test_damaged_settings(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / "settings.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(TinyError, match=reason):
        load_settings(path)


@pytest.mark.parametrize("value", [0, -1, True, "12", 1.5, None])
def test_settings_must_be_positive_numbers(tmp_path: Path, value: object) -> None:
    source = Path(tiny.__file__).with_name("settings.json")
    values = {**json.loads(source.read_text()), "steps": value}
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(values))
    with pytest.raises(TinyError, match="steps is"):
        load_settings(path)


def test_missing_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny, "_HERE", tmp_path)
    with pytest.raises(TinyError, match="weights are missing"):
        weights_folder()
