from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.errors import RequestError
from generator.request import (
    MAX_FRAMES,
    MAX_PROMPT_CHARS,
    MAX_REFERENCES,
    MIN_SIDE,
    MediaFormat,
    MediaKind,
    Reference,
    Request,
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", "  "),
        ("prompt", "x" * (MAX_PROMPT_CHARS + 1)),
        ("prompt", "a\x00b"),
        ("negative_prompt", "x" * (MAX_PROMPT_CHARS + 1)),
        ("width", MIN_SIDE - 1),
        ("height", 5000),
        ("frames", 0),
        ("frames", MAX_FRAMES + 1),
        ("fps", 0),
        ("fps", math.nan),
        ("guidance", -1),
        ("guidance", math.inf),
        ("steps", 0),
        ("seed", -1),
        ("seed", 2**63),
        ("tenant", ""),
        ("tenant", "a b"),
        ("tenant", "../x"),
        ("title", "x" * 201),
    ],
)
def test_a_value_out_of_its_limits_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(RequestError, match=field):
        Request(**{"prompt": "a boat", field: value})


@pytest.mark.parametrize("kind", list(MediaKind))
def test_too_many_references_of_a_kind_are_refused(kind: MediaKind) -> None:
    several = tuple(Reference(path=Path("r"), kind=kind) for _ in range(MAX_REFERENCES[kind] + 1))
    with pytest.raises(RequestError, match=f"of kind {kind}"):
        Request(prompt="a boat", references=several)


def test_a_reference_alone_is_a_request() -> None:
    assert Request(prompt="", references=(Reference(path=Path("r")),)).prompt == ""


def test_a_picture_file_holds_one_frame() -> None:
    with pytest.raises(RequestError, match="ask for mp4"):
        Request(prompt="a boat", frames=5, format=MediaFormat.PNG)


def test_a_reference_without_a_title_is_refused() -> None:
    with pytest.raises(RequestError, match="title"):
        Reference(path=Path("r"), title="")


def test_consents_do_not_show_in_logs() -> None:
    assert "secret" not in repr(Reference(path=Path("r"), consents=("secret",)))


@given(
    st.fixed_dictionaries(
        {
            "prompt": st.text(st.characters(exclude_characters="\x00"), min_size=1).filter(str.strip),
            "width": st.integers(MIN_SIDE, 4096),
            "frames": st.integers(1, MAX_FRAMES),
            "guidance": st.floats(0, 100),
            "seed": st.integers(0, 2**63 - 1),
        }
    )
)
def test_every_value_within_the_limits_is_kept_as_it_is(values: dict[str, Any]) -> None:
    request = Request(**values)
    assert {name: getattr(request, name) for name in values} == values
    assert request.with_seed(7).seed == 7


@pytest.mark.parametrize(
    ("wanted", "mime", "suffix"),
    [(MediaFormat.MP4, "video/mp4", ".mp4"), (MediaFormat.JPEG, "image/jpeg", ".jpg")],
)
def test_formats_know_their_mime_type_and_suffix(wanted: MediaFormat, mime: str, suffix: str) -> None:
    assert (wanted.mime, wanted.suffix) == (mime, suffix)
