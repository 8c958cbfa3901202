from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from generator.errors import LeakError, LoadError
from generator.load import System, compile_system, load_system, refuse_leaks, weights_digest
from generator.systems import Seam, system_named
from tests.generator.tiny_systems import image

SD = system_named("sd1.5")


@pytest.fixture
def pipeline() -> Any:
    return image.stable_diffusion()


def test_a_folder_loads_under_its_own_name_with_the_row_of_its_pipeline_class(saved: Path) -> None:
    system = load_system(saved, dtype=torch.bfloat16)
    assert system.spec == replace(SD, name="little-sd", source=str(saved))
    assert system.pipeline.vae.dtype is torch.bfloat16
    assert system.digest == weights_digest(saved)


def test_the_digest_changes_with_one_byte_of_any_weight_file(saved: Path, tmp_path: Path) -> None:
    before = weights_digest(saved)
    config = saved / "vae" / "config.json"
    text = config.read_text()
    config.write_text(text + " ")
    changed = weights_digest(saved)
    config.write_text(text)
    assert changed != before
    assert weights_digest(saved) == before


def test_a_cached_blob_is_named_by_its_digest_and_not_read_again(tmp_path: Path) -> None:
    blob = tmp_path / "blobs" / ("ab" * 32)
    blob.parent.mkdir()
    blob.write_bytes(b"one")
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    (snapshot / "model.safetensors").symlink_to(blob)
    before = weights_digest(snapshot)
    blob.write_bytes(b"two")
    assert weights_digest(snapshot) == before


def test_a_folder_without_a_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"no model_index\.json"):
        load_system(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_a_broken_index_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "model_index.json").write_text(text)
    with pytest.raises(LoadError, match="not a pipeline description"):
        load_system(tmp_path)


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    index = {"_class_name": "StableDiffusionPipeline", "vae": ["diffusers", "AutoencoderKL"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(LoadError, match="does not load"):
        load_system(tmp_path)


def test_nothing_is_downloaded_unless_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(LoadError, match="allow the download"):
        load_system("wan2.1-t2v-1.3b")


def test_a_system_without_a_repository_asks_for_a_folder() -> None:
    with pytest.raises(LoadError, match="save it to a folder"):
        load_system("animatediff")


def test_a_decode_compiled_before_the_mark_is_refused(pipeline: Any) -> None:
    pipeline.vae.decode = torch.compile(pipeline.vae.decode)
    with pytest.raises(LeakError, match=r"vae\.decode was replaced on the instance"):
        System(SD, pipeline, "sha256:0")


def test_a_vae_compiled_as_a_whole_is_refused(pipeline: Any) -> None:
    pipeline.vae = torch.compile(pipeline.vae)
    with pytest.raises(LeakError, match="compiled as a whole"):
        System(SD, pipeline, "sha256:0")


def test_a_pipeline_without_a_decoder_is_refused(pipeline: Any) -> None:
    pipeline.vae = None
    with pytest.raises(LeakError, match="no decoder"):
        refuse_leaks(pipeline, SD)


@pytest.mark.parametrize("option", ["output_type", "callback_on_step_end", "num_images_per_prompt"])
def test_options_that_would_leak_are_refused(pipeline: Any, option: str) -> None:
    with pytest.raises(LeakError, match=f"the option {option} is not allowed"):
        System(replace(SD, options={option: "latent"}), pipeline, "sha256:0")


def test_an_assembled_system_needs_a_processor_that_can_be_marked(pipeline: Any) -> None:
    with pytest.raises(LeakError, match="no video_processor"):
        refuse_leaks(pipeline, replace(SD, seam=Seam.ASSEMBLED))


def test_compiling_afterwards_leaves_decode_alone(pipeline: Any) -> None:
    system = System(SD, pipeline, "sha256:0")
    compile_system(system)
    refuse_leaks(system.pipeline, SD)
    assert pipeline.unet._compiled_call_impl is not None
