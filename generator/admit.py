"""The guard's two places: before the model, over everything that goes in, and after it, over what came
out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from generator.errors import RequestError
from generator.references import ReadReference, ReferenceFrames, read_references
from generator.request import MAX_SEED, MediaKind, Request
from generator.stages import Seal, require_seal
from generator.systems import SystemSpec
from guard import Decision, Guard, GuardRequest, Picture, Stage, Text
from guard.output import frames_to_check
from watermark import Sound

_SEAL: Final = Seal()
OUTPUT_PICTURES: Final = 8
"""Frames of a clip that the output rules look at, evenly spread: one per half second of a usual four-
second clip."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Allowed:
    """A request that the policy allows and the system can run: every value filled in, the seed drawn,
    references read."""

    request: Request
    decisions: tuple[Decision, ...]
    references: tuple[ReferenceFrames, ...]
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        require_seal(seal, _SEAL, "Allowed")


Hear = Callable[[Sound], str]
"""`hear(sound)`: the words that are spoken in it, for the rules about texts. A speech recogniser of the
operator's choice: none is shipped."""


def admit(
    request: Request,
    spec: SystemSpec,
    guard: Guard,
    *,
    read: ReadReference,
    randbelow: Callable[[int], int],
    hear: Hear | None = None,
) -> Allowed:
    """Put every text and picture of `request` before the guard, then check it against the system's row.

    Raises `PolicyViolation` when the policy refuses, `RequestError` when the system cannot run it or there is
    a sound and nobody to hear it, `MediaError` when a reference cannot be read.
    """
    complete = spec.complete(request)
    references = read_references(complete, read)
    decisions = tuple(guard.enforce(asked) for asked in guard_requests(complete, references, hear))
    spec.check_references(complete)
    _check_lengths(complete, references, spec)
    if complete.seed is None:
        complete = complete.with_seed(randbelow(MAX_SEED))
    return Allowed(request=complete, decisions=decisions, references=references, seal=_SEAL)


def _check_lengths(request: Request, references: tuple[ReferenceFrames, ...], spec: SystemSpec) -> None:
    """A system without a number of frames of its own makes as many as its clips have."""
    for given in references:
        clip = given.reference.kind is MediaKind.VIDEO and spec.frames_name is None
        if clip and len(given.frames) < (request.frames or 1):
            raise RequestError(
                f"frames: {given.reference.title} has {len(given.frames)}, and {spec.name} makes as many; "
                f"ask for no more, not {request.frames}"
            )


def guard_requests(
    request: Request, references: tuple[ReferenceFrames, ...], hear: Hear | None = None
) -> tuple[GuardRequest, ...]:
    """What the guard reads of a request: its texts, every frame of a reference that the model would get, and
    what is said in the sounds.

    Never empty: a `Request` has a prompt or a reference.
    """
    texts = [Text("prompt", request.prompt), Text("negative_prompt", request.negative_prompt)]
    texts += [Text("reference_title", given.reference.title) for given in references]
    texts += [Text("reference_speech", _heard(given, hear)) for given in references if given.sound]
    pictures = tuple(
        Picture("reference", frame, given.sha256, given.reference.consents)
        for given in references
        for frame in given.frames
    )
    shown = tuple(text for text in texts if text.value.strip())
    asked = [(Stage.PROMPT, shown, ()), (Stage.REFERENCE, (), pictures)]
    return tuple(
        GuardRequest(stage, seen_texts, seen_pictures, tenant=request.tenant, purpose=request.purpose)
        for stage, seen_texts, seen_pictures in asked
        if seen_texts or seen_pictures
    )


def _heard(given: ReferenceFrames, hear: Hear | None) -> str:
    if hear is None or given.sound is None:
        raise RequestError(
            f"references: {given.reference.title} is a sound, and nothing here can hear what is said in it; "
            "leave it out, or have the operator set up a speech recogniser"
        )
    return hear(given.sound)


def enforce_output(frames: NDArray[np.uint8], request: Request, guard: Guard) -> Decision:
    """Put frames of the result before the output rules. Raises `PolicyViolation`."""
    shown = frames_to_check(frames, OUTPUT_PICTURES)
    pictures = tuple(Picture("output", frames[index], _pixel_digest(frames[index])) for index in shown)
    asked = GuardRequest(Stage.OUTPUT, (), pictures, tenant=request.tenant, purpose=request.purpose)
    return guard.enforce(asked)


def _pixel_digest(frame: NDArray[np.uint8]) -> str:
    return hashlib.sha256(frame.tobytes()).hexdigest()
