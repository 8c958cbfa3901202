"""References as ingredients: each keeps its own manifest, and the marks of ours that it carries are read and
named."""

from __future__ import annotations

from generator.references import ReferenceFrames
from provenance import Input
from watermark import AudioDetector, Detector, MediaId


def inputs_of(references: tuple[ReferenceFrames, ...], detector: Detector) -> tuple[Input, ...]:
    """The ingredients of a result, in the order in which they were given."""
    return tuple(
        Input(given.reference.path, given.mime, given.reference.title, mark=_mark(given, detector))
        for given in references
    )


def _mark(given: ReferenceFrames, detector: Detector) -> MediaId | None:
    """The id of our mark in what the model was given: pictures, or a sound."""
    if given.sound is not None:
        return AudioDetector(detector.rings).detect(given.sound.samples, given.sound.rate).media_id
    return detector.detect(given.frames).media_id
