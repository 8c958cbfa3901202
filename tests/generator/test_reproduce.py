"""A released file is made again, and what agrees is said."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from generator import Codec, Request, SafeGenerator
from generator.codecs import write_clip
from generator.reproduce import Likeness, ReproductionError, reproduce
from tests.generator.conftest import MEDIA_ID, Desk, system_of

PICTURE = Request(prompt="a boat", width=256, height=256, steps=1, guidance=1.0, seed=3)


def test_the_same_bytes_come_again(safe_image: SafeGenerator, desk: Desk) -> None:
    released = safe_image.generate(PICTURE, MEDIA_ID, register=desk)
    again = reproduce(safe_image, PICTURE, released.record, released=released.path)
    assert (again.likeness, again.differs, again.psnr) == (Likeness.BYTES, (), float("inf"))
    assert list(safe_image.folder.iterdir()) == [released.path]


def test_another_seed_prompt_or_model_is_named_and_gives_other_pictures(
    safe_image: SafeGenerator, desk: Desk
) -> None:
    released = safe_image.generate(PICTURE, MEDIA_ID, register=desk)
    other = reproduce(safe_image, PICTURE.with_seed(4), released.record, released=released.path)
    assert other.differs == ("parameters",)
    assert other.likeness is not Likeness.BYTES
    assert other.psnr is not None
    assert other.psnr < 60
    changed = replace(safe_image.system, digest="sha256:" + "1" * 64)
    named = reproduce(replace(safe_image, system=changed), replace(PICTURE, prompt="a ship"), released.record)
    assert named.differs == ("prompt", "parameters", "model")


def test_what_has_no_seed_or_was_not_made_here_cannot_be_made_again(
    safe_image: SafeGenerator, desk: Desk
) -> None:
    record = safe_image.generate(PICTURE, MEDIA_ID, register=desk).record
    with pytest.raises(ReproductionError, match="no seed"):
        reproduce(safe_image, replace(PICTURE, seed=None), record)
    with pytest.raises(ReproductionError, match="no digest"):
        reproduce(safe_image, PICTURE, replace(record, digests={}))
    with pytest.raises(ReproductionError, match="epoch 7"):
        reproduce(safe_image, PICTURE, replace(record, key_id="7.0"))


def test_the_record_tells_scheduler_packages_and_hardware(safe_image: SafeGenerator) -> None:
    from generator.facts import parameters

    told = parameters(PICTURE, safe_image.system)
    assert {
        "scheduler",
        "torch",
        "diffusers",
        "transformers",
        "device",
        "dtype",
        "machine",
        "threads",
    } <= set(told)
    other = system_of("sd1.5")
    assert parameters(PICTURE, other)["weights"] == other.digest


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors can be taken away on Linux only")
@pytest.mark.parametrize("codec", [Codec.H264, Codec.HEVC, Codec.AV1])
def test_a_clip_has_the_same_bytes_on_fewer_processors(codec: Codec, tmp_path: Path) -> None:
    frames = np.random.default_rng(1).integers(0, 99, (8, 128, 128, 3), np.uint8)
    here = os.sched_getaffinity(0)
    written = []
    try:
        for processors in (here, {min(here)}):
            os.sched_setaffinity(0, processors)
            write_clip(tmp_path / "clip.mp4", frames, fps=8, codec=codec)
            written.append((tmp_path / "clip.mp4").read_bytes())
    finally:
        os.sched_setaffinity(0, here)
    assert written[0] == written[1]
