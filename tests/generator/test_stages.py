"""A stage cannot be made by hand: not with a seal of one's own, not by copying another's fields."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from generator.admit import Allowed
from generator.confirm import MarkedMedia
from generator.encode import Encoded
from generator.errors import Cancelled, StageError
from generator.release import Released
from generator.request import MediaFormat, Request
from generator.sample import MarkedFrames
from generator.screen import ScreenedFrames
from generator.sign import SignedMedia, UnsignedMedia
from generator.stages import Seal, stop_if

STAGES = (Allowed, MarkedFrames, ScreenedFrames, Encoded, MarkedMedia, SignedMedia, UnsignedMedia, Released)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_a_stage_made_by_hand_is_refused(stage: Any) -> None:
    fields = dict.fromkeys(stage.__dataclass_fields__)
    with pytest.raises(StageError, match=stage.__name__):
        stage(**fields | {"seal": Seal()})


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_a_stage_without_a_seal_does_not_even_construct(stage: Any) -> None:
    fields = {name: None for name in stage.__dataclass_fields__ if name != "seal"}
    with pytest.raises(TypeError, match="seal"):
        stage(**fields)


def test_a_stage_cannot_be_altered_by_replace() -> None:
    allowed = Allowed(request=Request(prompt="a boat"), decisions=(), references=(), seal=_seal_of("admit"))
    with pytest.raises(ValueError, match="seal"):
        replace(allowed, request=Request(prompt="a dagger"))  # type: ignore[call-arg]  # mypy sees it too


def test_seals_of_different_stages_do_not_fit_one_another() -> None:
    with pytest.raises(StageError):
        Encoded(path=Path("x"), format=MediaFormat.PNG, mark=None, seal=_seal_of("admit"))  # type: ignore[arg-type]


def _seal_of(module: str) -> Seal:
    import generator.admit

    return vars(getattr(generator, module))["_SEAL"]  # type: ignore[no-any-return]


def test_cancelling_raises_and_not_cancelling_does_nothing() -> None:
    stop_if(lambda: False)
    with pytest.raises(Cancelled):
        stop_if(lambda: True)
