"""What a job will take grows with what is asked, and what cannot fit is refused before it starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from generator import Request, RequestError, System
from generator.estimate import Needs, Pace, device_memory, needs, require_fit

SMALL = Request(prompt="a boat", width=256, height=256, frames=5, steps=2)


def test_weights_are_counted_as_they_are_loaded(wan_system: System) -> None:
    pipeline = wan_system.pipeline
    parts = (pipeline.transformer, pipeline.vae, pipeline.text_encoder)
    counted = sum(p.numel() * p.element_size() for part in parts for p in part.parameters())
    assert needs(wan_system, SMALL).weights == counted


def test_weights_that_wait_in_the_host_do_not_count(wan_system: System) -> None:
    whole, one = (needs(replace(wan_system, offload=offload), SMALL) for offload in (False, True))
    assert whole.weights > one.weights > 0
    assert whole.denoiser == one.denoiser


@pytest.mark.parametrize("change", [{"width": 512}, {"height": 512}, {"frames": 9}])
def test_more_pixels_and_frames_need_more(change: dict[str, Any], wan_system: System) -> None:
    before = needs(wan_system, SMALL)
    after = needs(wan_system, replace(SMALL, **change))
    assert after.denoiser > before.denoiser > 0
    assert after.decoder > before.decoder > 0
    assert after.weights == before.weights
    assert after.peak > before.peak > before.weights


def test_an_image_system_is_estimated_too(image_system: System) -> None:
    picture = Request(prompt="a boat", width=512, height=512, steps=1)
    found = needs(image_system, picture)
    assert min(found.weights, found.denoiser, found.decoder) > 0


def test_what_cannot_fit_is_refused_with_what_it_needs(wan_system: System) -> None:
    large = Needs(weights=3 * 2**30, denoiser=2**30, decoder=0)
    with pytest.raises(RequestError, match=r"about 4\.6 GiB .* 2\.0 GiB are there"):
        require_fit(large, 2 * 2**30, wan_system.spec, SMALL)
    require_fit(large, 8 * 2**30, wan_system.spec, SMALL)
    require_fit(large, None, wan_system.spec, SMALL)
    assert device_memory(wan_system) is None


def test_time_goes_by_steps_and_pixels() -> None:
    pace = Pace.of(SMALL, 10.0)
    assert pace.seconds(SMALL) == pytest.approx(10.0)
    assert pace.seconds(replace(SMALL, steps=4)) == pytest.approx(20.0)
    assert pace.seconds(replace(SMALL, width=512, frames=10)) == pytest.approx(40.0)
