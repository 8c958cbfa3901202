from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from generator.errors import LeakError, LoadError
from generator.load import System, compile_system, load_system, refuse_leaks, weights_digest
from generator.second_decoder import SamplingDecoder, install_decoder
from generator.systems import Seam, system_named
from tests.generator.tiny_systems import image, ltx

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


@pytest.fixture(scope="module")
def saved_ltx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LTX-2.5 as it is published: the pipeline, and beside its components a decoder that is none of them."""
    folder = tmp_path_factory.mktemp("saved") / "little-ltx"
    ltx.ltx2().save_pretrained(folder)
    ltx.diffusion_decoder().save_pretrained(folder / "diffusion_decoder")
    return folder


@pytest.mark.filterwarnings("ignore:.*flex_attention called without:UserWarning")
def test_a_decoder_beside_the_pipeline_takes_the_place_of_the_vaes(saved_ltx: Path) -> None:
    system = load_system(saved_ltx)
    assert (system.spec.name, system.spec.decoder) == ("little-ltx", "diffusion_decoder")
    decoder = system.pipeline.vae.decoder
    assert isinstance(decoder, SamplingDecoder)
    latents = torch.randn(1, 4, 2, 3, 3, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        (pictures,) = system.pipeline.vae.decode(latents, return_dict=False)
        usual = decoder.model.decode(latents, generator=torch.Generator().manual_seed(0), return_dict=False)
    assert pictures.shape == (1, 3, 9, 96, 96)
    assert torch.equal(pictures, usual[0])


def test_a_folder_without_the_second_decoder_has_the_row_of_the_first(saved_ltx: Path) -> None:
    (saved_ltx / "diffusion_decoder").rename(saved_ltx.parent / "aside")
    assert load_system(saved_ltx).spec.decoder is None
    (saved_ltx.parent / "aside").rename(saved_ltx / "diffusion_decoder")


def test_a_second_decoder_that_is_missing_or_of_another_depth_is_refused(saved_ltx: Path) -> None:
    vae = ltx.ltx2().vae
    with pytest.raises(LoadError, match=r"no decoder/config\.json"):
        install_decoder(vae, saved_ltx, "decoder", torch.float32)
    vae.register_to_config(latent_channels=8)
    with pytest.raises(LoadError, match="reads 4 latent channels, and the VAE has 8"):
        install_decoder(vae, saved_ltx, "diffusion_decoder", torch.float32)


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
    for name in ("wan2.1-t2v-1.3b", "ltx-2.5"):
        with pytest.raises(LoadError, match="allow the download"):
            load_system(name)


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
