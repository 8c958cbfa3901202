"""A LoRA comes in through the guard or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from generator import LeakError, LoadError, Request, SafeGenerator, System
from generator.facts import parameters
from generator.sample import sample
from generator.stages import never_cancelled, no_progress
from generator.trial import trial_pictures, with_adapter
from guard import AdapterError, Guard, MtcnnFaces, PolicyViolation, parse_policy, read_adapter
from tests.generator.conftest import MEDIA_ID, NOW, POLICY, Desk, system_of
from watermark import AudioDetector, KeyRing, Mark

RULE = """
  - id: no-dagger-styles
    title: Dagger styles
    stage: adapter
    severity: critical
    mode: enforce
    when: {words: weapons}
    then: block
    reason: VIOLENCE.GRAPHIC
    tests: [{block: a dagger}, {allow: a boat}]
"""
PICTURE = Request(prompt="a boat", width=256, height=256, steps=1, guidance=1.0, seed=3)


@pytest.fixture
def strict() -> Guard:
    return Guard(parse_policy(POLICY + RULE), faces=MtcnnFaces(), consents=None, clock=lambda: NOW)


@pytest.fixture
def system() -> System:
    return system_of("sd1.5")


def lora(folder: Path, system: System, *, note: str = "boats", seed: int = 1) -> Path:
    """A real LoRA of rank 2 for the cross attention of the little UNet."""
    draw = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, module in system.pipeline.unet.named_modules():
        if name.endswith(("to_q", "to_k", "to_v")):
            tensors[f"unet.{name}.lora_A.weight"] = torch.randn(2, module.in_features, generator=draw)
            tensors[f"unet.{name}.lora_B.weight"] = torch.randn(module.out_features, 2, generator=draw)
    path = folder / f"style-{seed}.safetensors"
    safetensors.torch.save_file(tensors, path, {"ss_tag_frequency": note})
    return path


def made(safe: SafeGenerator, ring: KeyRing) -> Any:
    mark = Mark(ring.subkey(3), MEDIA_ID)
    allowed = safe.admit(PICTURE)
    listener = AudioDetector(safe.detector.rings)
    made = sample(
        safe.system, allowed, mark, listener=listener, progress=no_progress, cancelled=never_cancelled
    )
    return made.pixels


def test_an_adapter_that_passes_changes_the_pictures_and_is_in_the_record(
    system: System, strict: Guard, safe_image: SafeGenerator, ring: KeyRing, desk: Desk, tmp_path: Path
) -> None:
    plain = replace(safe_image, system=system)
    before = made(plain, ring)
    styled = replace(plain, system=system.load_adapter(lora(tmp_path, system), strict))
    after = made(styled, ring)
    assert not np.array_equal(before, after)
    assert parameters(PICTURE, styled.system)["adapters"] == [[styled.system.adapters[0].sha256, 1.0]]
    released = styled.generate(PICTURE, MEDIA_ID, register=desk)
    again = replace(styled, system=replace(styled.system, adapters=styled.system.adapters))
    assert np.array_equal(made(again, ring), after)
    assert released.record.digests["parameters"]


def test_two_adapters_act_together_each_with_its_weight(
    system: System, strict: Guard, safe_image: SafeGenerator, ring: KeyRing, tmp_path: Path
) -> None:
    one = system.load_adapter(lora(tmp_path, system), strict, weight=0.5)
    first = made(replace(safe_image, system=one), ring)
    both = one.load_adapter(lora(tmp_path, system, seed=2), strict, weight=0.25)
    assert [adapter.weight for adapter in both.adapters] == [0.5, 0.25]
    assert not np.array_equal(first, made(replace(safe_image, system=both), ring))
    assert sorted(both.pipeline.get_active_adapters()) == sorted(a.name for a in both.adapters)


def test_an_adapter_that_the_policy_refuses_is_not_loaded(
    system: System, strict: Guard, tmp_path: Path
) -> None:
    with pytest.raises(PolicyViolation):
        system.load_adapter(lora(tmp_path, system, note="a dagger, a knife"), strict)
    with pytest.raises(PolicyViolation):
        system.load_adapter(lora(tmp_path, system), strict, title="dagger style")
    System(system.spec, system.pipeline, system.digest)  # nothing is left in the pipeline


def test_without_rules_for_adapters_none_is_loaded(system: System, guard: Guard, tmp_path: Path) -> None:
    with pytest.raises(PolicyViolation):
        system.load_adapter(lora(tmp_path, system), guard)


def test_what_was_loaded_past_the_guard_is_refused(
    system: System, safe_image: SafeGenerator, ring: KeyRing, tmp_path: Path
) -> None:
    system.pipeline.load_lora_weights(str(lora(tmp_path, system)), adapter_name="mine")
    with pytest.raises(LeakError, match="mine"):
        made(replace(safe_image, system=system), ring)
    with pytest.raises(LeakError, match="has not read"):
        System(system.spec, system.pipeline, system.digest)


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"PK\x03\x04zip"])
def test_what_is_no_safetensors_file_is_refused(
    content: bytes, system: System, strict: Guard, tmp_path: Path
) -> None:
    path = tmp_path / "style.safetensors"
    path.write_bytes(content)
    with pytest.raises(AdapterError):
        system.load_adapter(path, strict)


def test_an_adapter_of_another_model_is_refused(system: System, strict: Guard, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    weights = {f"unet.nowhere.to_q.lora_{part}.weight": torch.zeros(2, 2) for part in "AB"}
    safetensors.torch.save_file(weights, path)
    with pytest.raises(LoadError, match=r"adapter|tensors"):
        system.load_adapter(path, strict)


def test_a_file_that_changes_under_the_guards_eyes_is_refused(
    system: System, strict: Guard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lora(tmp_path, system)
    other = lora(tmp_path, system, seed=2).read_bytes()
    enforce = Guard.enforce

    def swapped(self: Guard, request: Any) -> Any:
        decision = enforce(self, request)
        path.write_bytes(other)
        return decision

    monkeypatch.setattr(Guard, "enforce", swapped)
    with pytest.raises(LoadError, match="changed while it was read"):
        system.load_adapter(path, strict)


def test_a_trial_draws_with_and_without_the_adapter_and_leaves_nothing_behind(
    system: System, strict: Guard, safe_image: SafeGenerator, ring: KeyRing, tmp_path: Path
) -> None:
    path = lora(tmp_path, system)
    mark = Mark(ring.subkey(3), MEDIA_ID)
    plain = replace(safe_image, system=system)
    before = trial_pictures(plain, mark, steps=1)("a boat", 3)
    with with_adapter(plain, path, read_adapter(path)) as adapted:
        after = trial_pictures(adapted, mark, steps=1)("a boat", 3)
        with pytest.raises(LeakError, match="has not read"):
            trial_pictures(plain, mark, steps=1)("a boat", 3)
    assert before.dtype == np.uint8
    assert not np.array_equal(before, after)
    assert np.array_equal(trial_pictures(plain, mark, steps=1)("a boat", 3), before)
    System(system.spec, system.pipeline, system.digest)  # nothing is left in the pipeline
    one = replace(plain, system=system.load_adapter(path, strict))
    with with_adapter(one, lora(tmp_path, system, seed=2), read_adapter(tmp_path / "style-2.safetensors")):
        pass
    assert set(system.pipeline.get_active_adapters()) == {one.system.adapters[0].name}


def test_only_lora_files_are_loaded(system: System, strict: Guard, tmp_path: Path) -> None:
    path = tmp_path / "style.safetensors"
    safetensors.torch.save_file({"emb_params": torch.zeros(2, 768)}, path)
    with pytest.raises(LoadError, match="is textual-inversion"):
        system.load_adapter(path, strict)
