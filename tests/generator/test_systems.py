from __future__ import annotations

import inspect
from pathlib import Path

import diffusers
import numpy as np
import pytest

from generator.admit import Allowed, admit
from generator.errors import LoadError, RequestError
from generator.load import LEAKING_OPTIONS
from generator.references import ReferenceFrames
from generator.request import MediaFormat, MediaKind, Reference, Request
from generator.systems import (
    EMBEDDED,
    HOSTED,
    SYSTEMS,
    SystemSpec,
    Takes,
    system_for_pipeline,
    system_named,
)
from guard import Guard
from tests.generator.tiny_systems import BUILDERS

WAN = system_named("wan2.1-t2v-1.3b")
BOAT = Request(prompt="a boat")


@pytest.mark.parametrize("spec", SYSTEMS, ids=lambda spec: spec.name)
def test_each_row_fits_the_pipeline_class_that_it_names(spec: SystemSpec) -> None:
    accepted = set(inspect.signature(getattr(diffusers, spec.pipeline).__call__).parameters)
    frames = spec.frames_name if spec.output is MediaKind.VIDEO else None
    references = {name for kind in spec.takes for name in spec.names_of(kind)}
    named = {frames, spec.guidance_name, *references, *spec.options} - {None}
    assert named <= accepted
    assert ("prompt" in accepted) == spec.prompted
    assert ("negative_prompt" in accepted) == spec.negative
    assert spec.max_sequence_length is None or "max_sequence_length" in accepted
    assert not set(spec.options) & set(LEAKING_OPTIONS)


@pytest.mark.parametrize("spec", SYSTEMS, ids=lambda spec: spec.name)
def test_the_defaults_of_each_row_obey_its_own_rules(spec: SystemSpec) -> None:
    whole = spec.complete(Request(prompt="a boat" if spec.prompted else "", references=_needed(spec)))
    spec.check_references(whole)
    assert (whole.width, whole.height, whole.frames) == (spec.width, spec.height, spec.frames)
    assert whole.format in spec.formats
    assert spec.output is MediaKind.IMAGE or whole.fps


def _needed(spec: SystemSpec) -> tuple[Reference, ...]:
    return tuple(
        Reference(path=Path("r"), kind=MediaKind(kind)) for kind in spec.takes for _ in spec.names_of(kind)
    )


def test_names_are_unique_and_the_embedded_one_is_there() -> None:
    names = [spec.name for spec in SYSTEMS]
    assert len(set(names)) == len(names)
    assert EMBEDDED in names


def test_what_is_not_given_is_filled_in_and_what_is_given_stays() -> None:
    whole = WAN.complete(Request(prompt="a boat", frames=5, guidance=0.0))
    assert (whole.frames, whole.guidance, whole.width, whole.steps) == (5, 0.0, 832, 50)
    assert whole.format is MediaFormat.MP4
    assert whole.seed is None


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(prompt="a boat", width=840), r"width: .* multiple of 16, not 840; 832 would do"),
        (Request(prompt="a boat", frames=6), r"frames: .* 4k\+1, not 6; 5 would do"),
        (
            Request(prompt="a boat", format=MediaFormat.WAV),
            "format: .* makes mp4, .*, not wav",
        ),
    ],
)
def test_what_the_system_cannot_do_is_refused_with_what_would_do(request_: Request, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        WAN.complete(request_)


def test_a_picture_of_a_video_system_is_a_clip_of_one_frame() -> None:
    assert WAN.complete(Request(prompt="a boat", format=MediaFormat.PNG)).frames == 1


def test_an_image_system_makes_one_picture() -> None:
    with pytest.raises(RequestError, match="makes one picture"):
        system_named("sd1.5").complete(Request(prompt="a boat", frames=5))


def test_a_negative_prompt_is_not_dropped_in_silence() -> None:
    with pytest.raises(RequestError, match="negative_prompt"):
        system_named("flux.2-dev").complete(Request(prompt="a boat", negative_prompt="fog"))


def test_a_prompt_is_not_dropped_in_silence() -> None:
    with pytest.raises(RequestError, match="reads none"):
        system_named("svd-xt").complete(BOAT)


@pytest.mark.parametrize(
    ("name", "kinds", "message"),
    [
        ("wan2.1-t2v-1.3b", ["image"], "takes no image"),
        ("wan2.1-i2v-14b", [], "needs one image"),
        ("wan2.1-i2v-14b", ["image", "image"], "takes one image, not 2"),
        ("wan2.2-animate-14b", ["image", "video"], "needs as video: pose_video, face_video"),
        ("wan2.2-animate-14b", ["image", "video", "video", "video"], "takes up to 2 of kind video, not 3"),
    ],
)
def test_references_must_be_what_the_system_takes(name: str, kinds: list[str], message: str) -> None:
    references = tuple(Reference(path=Path("r"), kind=MediaKind(kind)) for kind in kinds)
    with pytest.raises(RequestError, match=message):
        system_named(name).check_references(Request(prompt="a boat", references=references))


def test_a_clip_too_short_for_the_mark_of_its_sound_is_refused() -> None:
    ltx = system_named("ltx-2")
    with pytest.raises(RequestError, match="frames: ltx-2 makes sound, whose mark needs 1 s"):
        ltx.complete(Request(prompt="a boat", frames=17))
    assert ltx.complete(Request(prompt="a boat", frames=25)).fps == 24
    ltx.complete(Request(prompt="a boat", format=MediaFormat.PNG))  # a picture makes no sound


def test_a_system_that_follows_a_clip_makes_no_more_frames_than_it_has(guard: Guard) -> None:
    black = np.zeros((64, 64, 3), np.uint8)
    spec = system_named("cogvideox-5b-v2v")
    given = Reference(path=Path("r"), kind=MediaKind.VIDEO, title="dance")

    def read(reference: Reference, most: int) -> ReferenceFrames:
        return ReferenceFrames(reference, "video/mp4", "", (black,) * 5)

    def ask(frames: int) -> Allowed:
        request = Request(prompt="a boat", frames=frames, references=(given,))
        return admit(request, spec, guard, read=read, randbelow=lambda below: 3)

    assert ask(5).request.frames == 5
    with pytest.raises(RequestError, match="frames: dance has 5, and cogvideox-5b-v2v makes as many"):
        ask(9)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(LoadError, match=EMBEDDED):
        system_named("sora-9")


def test_a_pipeline_class_without_a_row_is_refused() -> None:
    with pytest.raises(LoadError, match="no row"):
        system_for_pipeline("DanceDiffusionPipeline")


def table_line(spec: SystemSpec) -> str:
    """The line that docs/systems.md must hold for this row."""
    counted = {kind: f"{n} {kind}" if (n := len(spec.names_of(kind))) > 1 else kind for kind in spec.takes}
    needs = ", ".join(
        counted[kind] if takes is Takes.REQUIRED else f"[{counted[kind]}]"
        for kind, takes in spec.takes.items()
    )
    is_clip = spec.output is MediaKind.VIDEO
    length = f", {spec.frames} at {spec.fps:g}/s" if is_clip else ""
    step = "any" if spec.frame_step == 1 else f"{spec.frame_step}k+1"
    cells = (
        f"`{spec.name}`",
        "in this package" if spec.name == EMBEDDED else spec.source or "your folder",
        spec.pipeline,
        f"{spec.output} and sound" if spec.sound else spec.output,
        needs or "-",
        f"{spec.width}x{spec.height}{length}",
        f"{step}, this size"
        if spec.only_size
        else f"{step}, /{spec.size_multiple}"
        if is_clip
        else f"/{spec.size_multiple}",
        f"{spec.seam}, second pass" if spec.second_pass else spec.seam,
        "yes" if spec.name in BUILDERS else "with its own weights" if spec.name == EMBEDDED else "no",
    )
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("spec", SYSTEMS, ids=lambda spec: spec.name)
def test_the_page_about_systems_has_the_row(spec: SystemSpec) -> None:
    page = (Path(__file__).parents[2] / "docs" / "systems.md").read_text(encoding="utf-8")
    assert table_line(spec) in page.splitlines()


def hosted_line(spec: SystemSpec) -> str:
    """The beginning of the line that docs/systems.md must hold for a hosted row."""
    return f"| `{spec.name}` | {spec.provider} | {spec.source} |"


@pytest.mark.parametrize("spec", HOSTED, ids=lambda spec: spec.name)
def test_hosted_rows_obey_their_own_rules_and_are_on_the_page(spec: SystemSpec) -> None:
    needed = tuple(
        Reference(path=Path("r"), kind=MediaKind(kind))
        for kind, takes in spec.takes.items()
        if takes is Takes.REQUIRED
    )
    whole = spec.complete(Request(prompt="a boat", references=needed))
    spec.check_references(whole)
    page = (Path(__file__).parents[2] / "docs" / "systems.md").read_text(encoding="utf-8")
    (line,) = (line for line in page.splitlines() if line.startswith(hosted_line(spec)))
    assert all(f"{width}x{height}" in line for width, height in spec.sizes)
    assert line.endswith(f" {spec.price:.2f} |")
