"""Ideas and pictures by an open_clip model: a tiny one with random weights, read from a folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from guard import BackendError, Guard, GuardRequest, Outcome, Picture, Stage, parse_policy
from guard.clip import CONFIG, ClipIdeas, ClipModel, ClipPictures
from guard.ideas import embedded_ideas
from guard.model import Certainty
from guard.testing import run_tests
from tests.guard.conftest import NOW, prompt

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
HARMLESS = ("a dog on a beach", "a red house", "two cups of tea", "a lighthouse at dusk", "a bowl of fruit")
RED = np.full((40, 60, 3), (200, 30, 30), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import open_clip

    torch.manual_seed(3)
    model = open_clip.CLIP(
        TINY["embed_dim"],
        open_clip.CLIPVisionCfg(**TINY["vision_cfg"]),  # type: ignore[arg-type]
        open_clip.CLIPTextCfg(**TINY["text_cfg"]),  # type: ignore[arg-type]
    )
    path = tmp_path_factory.mktemp("clip") / "tiny"
    path.mkdir()
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, path / "open_clip_model.safetensors")
    (path / CONFIG).write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": {}}))
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> ClipModel:
    return ClipModel(folder)


def test_embeddings_have_length_one_and_tell_texts_and_pictures_apart(model: ClipModel) -> None:
    texts = model.texts([*HARMLESS, HARMLESS[0]])
    assert texts.shape == (6, 16)
    assert np.allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)
    assert np.allclose(texts[0], texts[-1], atol=1e-5)
    assert not np.allclose(texts[0], texts[1], atol=1e-3)
    red = model.picture(RED)
    assert red.shape == (16,)
    assert np.linalg.norm(red) == pytest.approx(1, abs=1e-5)
    assert not np.allclose(red, model.picture(np.zeros_like(RED)), atol=1e-3)


def test_the_weights_are_those_of_the_file(folder: Path, model: ClipModel, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "tiny")
    other = ClipModel(tmp_path / "tiny")
    assert other.model_id == model.model_id
    assert np.array_equal(other.texts(HARMLESS), model.texts(HARMLESS))
    assert model.model_id.startswith("open_clip/tiny@")


def test_an_idea_is_nearest_in_its_own_words(model: ClipModel) -> None:
    ideas = ClipIdeas(model, HARMLESS)
    idea = "a severed head in a pool of blood"
    calm = [ideas.score(text, idea) for text in HARMLESS]
    assert np.mean(calm) == pytest.approx(0, abs=1e-3)
    assert ideas.score(idea, idea) > max(calm)
    assert not any(ideas.holds(text, idea, Certainty.LIKELY) for text in HARMLESS)
    assert ideas.ideas >= {"violence", "sexual"}


def test_what_the_classifier_beside_it_sees_counts_too(model: ClipModel) -> None:
    alone, both = ClipIdeas(model, HARMLESS), ClipIdeas(model, HARMLESS, beside=embedded_ideas())
    text = "a man covered in blood, with a severed head"
    assert both.holds(text, "violence", Certainty.LIKELY)
    assert both.holds("a dog", "dogs", Certainty.POSSIBLE) == alone.holds("a dog", "dogs", Certainty.POSSIBLE)
    assert both.model_id.startswith(f"{alone.model_id} and assay/ideas@")


def test_certainties_are_ordered(model: ClipModel) -> None:
    ideas = ClipIdeas(model, HARMLESS)
    texts = ["a knife", "blood on the floor", "a war film", "a car", "the end of the world"]
    seen = [{t for t in texts if ideas.holds(t, "violence", certainty)} for certainty in Certainty]
    assert seen[0] <= seen[1] <= seen[2]


def test_pictures_are_weighed_against_calm_descriptions(model: ClipModel) -> None:
    pictures = ClipPictures(model)
    asked = ["a dog", "a fire", "blood"]
    found = [pictures.probability(RED, what) for what in asked]
    assert all(0 < probability < 1 for probability in found)
    assert len(set(found)) == 3
    assert pictures.probability(RED, "a dog") == found[0]  # remembered, not drawn
    least = min(found)
    assert all(
        pictures.shows(RED, what, Certainty.POSSIBLE) == (p >= 0.5)
        for what, p in zip(asked, found, strict=True)
    )
    assert not pictures.shows(RED, asked[found.index(least)], Certainty.SURE) or least >= 0.95


def _spoil(folder: Path, what: str) -> None:
    weights = folder / "open_clip_model.safetensors"
    match what:
        case "no config":
            (folder / CONFIG).unlink()
        case "no json":
            (folder / CONFIG).write_text("{")
        case "no text tower":
            (folder / CONFIG).write_text(json.dumps({"model_cfg": {"embed_dim": 16}}))
        case "network":
            config = {**TINY, "text_cfg": {"hf_model_name": "roberta-base"}}
            (folder / CONFIG).write_text(json.dumps({"model_cfg": config}))
        case "no weights":
            weights.unlink()
        case "pickle":
            weights.rename(folder / "open_clip_pytorch_model.bin")
        case "truncated":
            weights.write_bytes(weights.read_bytes()[:5000])
        case "another shape":
            config = {**TINY, "embed_dim": 24}
            (folder / CONFIG).write_text(json.dumps({"model_cfg": config}))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no config", "needs an open_clip_config.json"),
        ("no json", "needs an open_clip_config.json"),
        ("no text tower", "needs an open_clip_config.json"),
        ("network", "would be fetched"),
        ("no weights", "has 0"),
        ("pickle", "has 0"),
        ("truncated", "does not load"),
        ("another shape", "does not load"),
    ],
)
def test_what_is_no_model_is_a_backend_error(folder: Path, tmp_path: Path, what: str, message: str) -> None:
    shutil.copytree(folder, tmp_path / "tiny")
    _spoil(tmp_path / "tiny", what)
    with pytest.raises(BackendError, match=message):
        ClipModel(tmp_path / "tiny")


def test_a_model_whose_numbers_overflow_says_so(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "tiny")
    broken = ClipModel(tmp_path / "tiny")
    broken._model.text_projection.data.fill_(float("nan"))
    with pytest.raises(BackendError, match="not a number"):
        broken.texts(["a dog"])


POLICY = """
policy: test.shows
version: 1.0.0
unchecked_stages: [prompt, reference, adapter]
rules:
  - id: gore
    title: Gore in the result
    stage: output
    severity: high
    mode: enforce
    frames_in_a_row: 2
    when: {shows: a person covered in blood}
    then: block
    on_error: review
    reason: VIOLENCE.GRAPHIC
    tell_user: {en: No.}
    tests:
      - block: {shows: a person covered in blood}
      - allow: {shows: nothing}
"""


class Seeing:
    """Sees blood in the frames that it is told."""

    model_id = "test"

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers

    def shows(self, pixels: NDArray[np.uint8], what: str, certainty: Certainty) -> bool:
        return what == "a person covered in blood" and int(pixels[0, 0, 0]) in self.numbers


def frames(count: int) -> tuple[Picture, ...]:
    return tuple(Picture("output", np.full((16, 16, 3), n, np.uint8), "") for n in range(count))


def test_rules_on_output_ask_for_neighbouring_frames() -> None:
    policy = parse_policy(POLICY, "shows.yaml")
    plain = Guard(policy, faces=None, consents=None, clock=lambda: NOW)
    assert run_tests(policy, plain).passed
    request = GuardRequest(Stage.OUTPUT, pictures=frames(5))
    flicker = plain.with_classes(Seeing(1, 3)).evaluate(request)
    assert flicker.outcome is Outcome.ALLOW
    steady = plain.with_classes(Seeing(1, 2)).evaluate(request)
    assert steady.outcome is Outcome.BLOCK
    assert {e.entry for e in steady.findings[0].evidence} == {"a person covered in blood"}
    assert [e.index for e in steady.findings[0].evidence] == [1, 2]


def test_missing_weights_have_the_outcome_that_the_rule_says() -> None:
    guard = Guard(parse_policy(POLICY, "shows.yaml"), faces=None, consents=None, clock=lambda: NOW)
    decision = guard.evaluate(GuardRequest(Stage.OUTPUT, pictures=frames(2)))
    assert decision.outcome is Outcome.REVIEW
    assert decision.reason == "GUARD.CHECK_FAILED"
    assert guard.missing_backends() == ("pictures",)
    assert guard.with_classes(Seeing()).live_backends() == {"pictures": "test"}


def test_pictures_are_asked_only_where_there_are_some() -> None:
    text = POLICY.replace("stage: output", "stage: prompt").replace(
        "[prompt, reference, adapter]", "[adapter]"
    )
    with pytest.raises(Exception, match="pictures are not seen at stage 'prompt'"):
        parse_policy(text, "shows.yaml")


def test_a_model_judges_the_prompts_and_frames_of_a_policy(model: ClipModel) -> None:
    policy = parse_policy(POLICY, "shows.yaml")
    guard = Guard(
        policy, faces=None, consents=None, clock=lambda: NOW, ideas=ClipIdeas(model, HARMLESS),
        classes=ClipPictures(model),
    )  # fmt: skip
    decision = guard.evaluate(GuardRequest(Stage.OUTPUT, pictures=frames(2)))
    assert decision.reason in ("", "VIOLENCE.GRAPHIC")  # judged, not failed
    assert guard.live_backends() == {"pictures": model.model_id}
    assert guard.evaluate(prompt("a dog")).allowed
