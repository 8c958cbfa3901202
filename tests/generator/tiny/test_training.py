"""The training scripts at tiny sizes: latents invert, losses fall, checkpoints pack into a working folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from generator.tiny import TinyError, evaluate, load_settings, pack, train_decoder, train_transformer
from generator.tiny.curves import draw_curves, read_log
from generator.tiny.data import draw_training_scene, is_held_out, latent_times
from generator.tiny.evaluate import (
    HEADS,
    accuracy,
    held_out_scenes,
    rendered_pictures,
    save_sheet,
    train_judge,
)
from generator.tiny.fit_basis import fit_basis
from generator.tiny.frame_decoder import FrameDecoder, install
from generator.tiny.latents import CELL, CHANNELS, COLOURS, WHOLE, Cells, LatentBasis, encode_scenes
from generator.tiny.models import build_text_encoder, build_tokenizer, build_transformer, build_vae
from generator.tiny.render import Grid, render
from generator.tiny.scene import draw_scene
from generator.tiny.train_transformer import Denoiser, Stage, flow_loss, tokenize
from generator.tiny.training import Average, Log, rate

BASIS = Path(train_decoder.__file__).parent / "basis.safetensors"


@pytest.fixture(scope="module")
def basis() -> LatentBasis:
    return LatentBasis.load(BASIS)


def test_basis_is_fitted_the_same_twice(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    fitted = fit_basis(1, seed=4)
    fitted.save(tmp_path / "basis.safetensors")
    again = LatentBasis.load(tmp_path / "basis.safetensors")
    assert torch.equal(fitted.directions, again.directions)
    assert torch.allclose(fitted.directions.T @ fitted.directions, torch.eye(COLOURS), atol=1e-4)


def test_latents_keep_the_colours(basis: LatentBasis) -> None:
    scenes, times = [draw_training_scene(np.random.default_rng(6))], latent_times(2)
    latents = encode_scenes(basis, scenes, times, [WHOLE])
    assert latents.shape == (1, CHANNELS, 2, 30, 52)
    plain = render(scenes, times, WHOLE.grid(CELL), objects=False)
    error = (basis.decode(latents[:, :COLOURS]) - plain).square().mean()
    assert float(-10 * torch.log10(error)) > 35


def test_cells_of_a_crop_are_cells_of_the_whole(basis: LatentBasis) -> None:
    scenes, times = [draw_training_scene(np.random.default_rng(2)) for _ in range(2)], latent_times(1)
    whole = encode_scenes(basis, scenes, times, [WHOLE] * 2)
    parts = encode_scenes(basis, scenes, times, [Cells(3, 5, 4, 4), Cells(20, 40, 4, 4)])
    assert torch.allclose(parts[0], whole[0, :, :, 3:7, 5:9], atol=1e-4)
    assert torch.allclose(parts[1], whole[1, :, :, 20:24, 40:44], atol=1e-4)


def test_quarter_size_rendering_agrees_with_full_size() -> None:
    scene = [draw_training_scene(np.random.default_rng(1))]
    moment = torch.tensor([0.0])
    full = F.avg_pool2d(render(scene, moment, Grid.full(240, 416))[0], 4)
    assert float((full - render(scene, moment, Grid.full(60, 104))[0]).abs().mean()) < 0.01


def test_stock_decoder_applies_the_frame_decoder_to_every_frame() -> None:
    torch.manual_seed(0)
    frame, vae = FrameDecoder(), build_vae().eval()
    install(frame, vae)
    latents = torch.randn(1, CHANNELS, 3, 2, 3)
    with torch.no_grad():
        clip = vae.decode(latents).sample
        for i in range(9):
            before, after = latents[:, :, i // 4], latents[:, :, min(i // 4 + 1, 2)]
            expected = frame(torch.lerp(before, after, i % 4 / 4)).clamp(-1, 1)
            assert torch.allclose(clip[:, :, i], expected, atol=1e-4)


def test_pixels_of_objects_count_more(basis: LatentBasis) -> None:
    seen = replace(
        draw_training_scene(np.random.default_rng(5)).attributes, balloon="red", boat=False, birds=False
    )
    scene = draw_scene(np.random.default_rng(5), seen)
    latents = encode_scenes(basis, [scene], latent_times(1), [WHOLE])
    weight = train_decoder.object_weight(latents[:, :, 0])
    grid = WHOLE.grid(1)
    shown = render([scene], latent_times(1), grid) - render([scene], latent_times(1), grid, objects=False)
    on_balloon = shown[0, 0].abs().amax(0) > 0.2
    assert weight.shape == (1, 1, 480, 832)
    assert float(weight[0, 0][on_balloon].mean()) > 4 > 2 > float(weight[0, 0][~on_balloon].mean())


def test_decoder_training_lowers_the_loss_and_leaves_files(basis: LatentBasis, tmp_path: Path) -> None:
    torch.manual_seed(0)
    options = {"steps": 100, "side": 2, "batch": 4, "fresh": 1, "seed": 1, "peak": 2e-3}
    train_decoder.train(FrameDecoder(), basis, tmp_path, **options)  # type: ignore[arg-type]
    losses = [json.loads(line)["loss"] for line in (tmp_path / "decoder.jsonl").read_text().splitlines()]
    assert len(losses) == 2
    assert losses[-1] < 0.8 * losses[0]
    assert torch.load(tmp_path / "decoder.pt")["step"] == 100


def test_transformer_learns_one_batch(basis: LatentBasis) -> None:
    torch.manual_seed(0)
    tokenizer, rng = build_tokenizer(), np.random.default_rng(0)
    model = Denoiser(build_transformer(width=96, layers=2), build_text_encoder(len(tokenizer)))
    scenes = [draw_training_scene(rng) for _ in range(4)]
    clean = encode_scenes(basis, scenes, latent_times(1), [WHOLE] * 4)
    ids, mask = tokenize(tokenizer, ["a blue sea at noon"] * 4, rng)
    steppers, losses = train_transformer.optimizers(model, 2e-3), []
    for _ in range(12):
        loss = flow_loss(model, clean, ids, mask)
        model.zero_grad()
        torch.autograd.backward(loss)
        for stepper in steppers:
            stepper.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-3:]) < 0.7 * sum(losses[:3])


def test_training_run_packs_into_a_folder(
    basis: LatentBasis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Denoiser(build_transformer(), build_text_encoder(len(build_tokenizer())))
    stages = [Stage.parse("1:1:1:1"), Stage.parse("2:1:1:1")]
    monkeypatch.setattr(train_transformer, "PREFILL", 1)
    train_transformer.train(model, stages, basis, tmp_path, seed=0, peak=1e-3)
    torch.save({"average": FrameDecoder().state_dict()}, tmp_path / "decoder.pt")
    assert pack.pack(tmp_path / "transformer.pt", tmp_path / "decoder.pt", tmp_path / "w") <= pack.MOST_BYTES
    assert (tmp_path / "w" / "model_index.json").is_file()
    monkeypatch.setattr(pack, "MOST_BYTES", 1000)
    with pytest.raises(TinyError, match="more than 1000"):
        pack.pack(tmp_path / "transformer.pt", tmp_path / "decoder.pt", tmp_path / "w")


def test_judge_learns_from_rendered_pictures(tmp_path: Path) -> None:
    judge = train_judge(96, epochs=10, seed=1)
    pictures, seen = rendered_pictures(48, seed=2)
    right = accuracy(judge, pictures, seen)
    assert set(right) == set(HEADS)
    assert right["time"] > 0.6
    assert accuracy(judge, pictures[:, None].expand(-1, 3, -1, -1, -1), seen) == right
    save_sheet(list(pictures[:5]), tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_held_out_prompts_are_held_out_and_different() -> None:
    chosen = held_out_scenes(20, seed=3)
    assert all(is_held_out(seen) for seen in chosen)
    rng = np.random.default_rng(0)
    assert not any(is_held_out(draw_training_scene(rng).attributes) for _ in range(50))


def test_rate_rises_holds_and_falls() -> None:
    values = [rate(step, 100, warmup=10, decay=0.5) for step in range(100)]
    assert values[0] == pytest.approx(0.1)
    assert values[30] == 1.0
    assert values[-1] <= 0.02


def test_average_follows_the_weights() -> None:
    module = torch.nn.Linear(2, 2)
    average = Average(module, 0.5)
    with torch.no_grad():
        module.weight.add_(1.0)
    for step in range(40):
        average.update(module, step)
    assert torch.allclose(average.state["weight"], module.weight, atol=1e-3)


def test_evaluation_generates_and_judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(load_settings(), width=64, frames=5, steps=1)
    monkeypatch.setattr("generator.tiny.evaluate.load_settings", lambda: settings)
    judge, sheet = train_judge(32, epochs=1, seed=1), tmp_path / "sheet.png"
    outcome = evaluate.evaluate(judge, 2, seed=5, sheet=sheet, rendered=32)
    assert outcome.clips == 2
    assert set(outcome.generated) == set(HEADS)
    assert 0 <= outcome.all_four <= 1
    assert sheet.is_file()


def test_curves_are_drawn(tmp_path: Path) -> None:
    log = Log(tmp_path / "run.jsonl")
    for step in range(1, 5):
        log.write(step=step, loss=1.0 / step)
    assert read_log(tmp_path / "run.jsonl")[1] == pytest.approx([1, 0.5, 1 / 3, 0.25], abs=1e-4)
    draw_curves([tmp_path / "run.jsonl"], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000
