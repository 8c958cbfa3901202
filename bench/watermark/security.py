"""What someone without the key can do with marked outputs: lift, average, fold, subtract, transplant.

The attacker knows the whole format (its bands, its grid, its block layout) and owns `n` outputs of one
sub-key, but has neither the key nor the unmarked originals. Answers are figures; docs/robustness.md says what
follows from them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.watermark import synthetic
from bench.watermark.attacks import Attack, Crop, Frames, Jpeg, Reencode
from bench.watermark.attacks.base import to_uint8
from bench.watermark.informed import learn, render_learnt
from bench.watermark.metrics import CANONICAL_SIDE, psnr
from bench.watermark.systems import Reading, media_id_of, ring_of, to_float, to_frames
from watermark import Detector, Mark

SIDE = 512
FORGERY_PSNR = 42.0
"""dB between a forged picture and the clean one: what the mark itself may cost."""
REMOVAL_PSNR = 38.0
"""dB between the victim and the picture after subtraction: more than most attackers would accept."""
BLOCK = (16 * 4 / 3, 20 * 4 / 3)
"""Rows and columns of one block of chroma chips in canonical units: the period an attacker would fold by."""
LOW, HIGH = 27.0, 3.0
"""Band of the chroma pattern in cycles per short side, which an attacker would filter for."""

COUNTS = (1, 5, 10, 20, 30, 50, 100)
FOLDED_FRAMES = (1, 8, 48)
FOLLOW_UPS: tuple[Attack, ...] = (Crop(0.71), Jpeg(60), Reencode("h264", 23))
"""What else a remover does to the picture once he has subtracted."""

FIRST_VICTIM = 100
"""Ids from here on are the victims'; below, the sampled outputs'."""

NEVER_ISSUED = 127
"""The id that a forger writes."""

Residual = NDArray[np.float32]


@dataclass(frozen=True)
class SecurityRow:
    """One attempt. `message`: the detector gave the message of the victim or of a sampled output."""

    attack: str
    outputs: int
    psnr: float
    band: str
    message: bool
    log10_p: float


def residual(picture: Frames) -> Residual:
    """An attacker's guess at the mark in one [H, W, 3] picture: the band, with busy places toned down."""
    values = picture.astype(np.float32)
    side = min(picture.shape[:2])
    band = _blur(values, side / LOW / 6) - _blur(values, side / HIGH / 6)
    scale = np.sqrt(_blur(band**2, side / 32)) + 0.5
    return np.asarray(2 * scale.min() * np.tanh(band / (2 * scale)), np.float32)


def _blur(values: Residual, sigma: float) -> Residual:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32)


def average(pictures: Sequence[Frames]) -> Residual:
    """Mean residual of equally sized pictures: what they share grows out of what they do not."""
    return np.asarray(np.mean([residual(picture) for picture in pictures], axis=0), np.float32)


def fold(pattern: Residual) -> Residual:
    """Average the pattern over the blocks of the chip layout, then tile it: finds a mark that repeats."""
    unit = min(pattern.shape[:2]) / CANONICAL_SIDE
    rows, columns = (round(size * unit) for size in BLOCK)
    down, across = pattern.shape[0] // rows, pattern.shape[1] // columns
    whole = pattern[: down * rows, : across * columns]
    tile = whole.reshape(down, rows, across, columns, 3).mean((0, 2))
    tiled = np.tile(tile, (down + 1, across + 1, 1))
    return np.asarray(tiled[: pattern.shape[0], : pattern.shape[1]], np.float32)


def add(picture: Frames, pattern: Residual, decibels: float, sign: float = 1.0) -> Frames:
    """Add a pattern scaled to `decibels` of PSNR."""
    wanted = 255 / 10 ** (decibels / 20)
    scale = wanted / max(float(np.sqrt(np.mean(pattern**2))), 1e-6)
    return to_uint8(picture + sign * scale * pattern)


def pictures(photos: Sequence[Frames], count: int, first_seed: int) -> list[Frames]:
    """`count` unmarked [SIDE, SIDE, 3] pictures: photographs of that size, then drawn scenes."""
    fitting = [photo for photo in photos if photo.shape[:2] == (SIDE, SIDE)][:count]
    missing = range(first_seed, first_seed + count - len(fitting))
    return fitting + [synthetic.scene(SIDE, SIDE, seed=seed) for seed in missing]


def mark_picture(picture: Frames, message: int) -> Frames:
    mark = Mark(ring_of(0).subkey(0), media_id_of(message))
    marked: Frames = to_frames(mark.apply(to_float(picture[None])))[0]
    return marked


def _detect(picture: Frames) -> Reading:
    found = Detector([ring_of(0)]).detect([picture])
    known = {media_id_of(number).value for number in range(128)}
    message = found.media_id is not None and found.media_id.value in known
    return Reading(message, float(found.log10_p), str(found.band.value), 0.0)


def row_of(
    attack: str, outputs: int, picture: Frames, reference: Frames, then: Attack | None = None
) -> SecurityRow:
    """What is read off `picture`, perhaps after one more attack; its quality is that before it."""
    reading = _detect(picture if then is None else then.apply(picture[None], seed=outputs)[0])
    attack = attack if then is None else f"{attack}, then {then.name}"
    decibels = psnr(reference[None], picture[None])
    return SecurityRow(attack, outputs, round(decibels, 2), reading.band, reading.recovered, reading.log10_p)


def clip_fold(clip: Frames, clean: Frames, counts: Sequence[int]) -> Iterator[SecurityRow]:
    """Fold and lift from n frames of one marked clip, forged onto a clean picture of the same size."""
    ring = ring_of(0)
    marked = to_frames(Mark(ring.subkey(0), media_id_of(0)).apply(to_float(clip)))
    for count in (n for n in counts if n <= len(marked)):
        pattern = average(list(marked[:count]))
        yield row_of("keyless fold, forge", count, add(clean, fold(pattern), FORGERY_PSNR), clean)
        yield row_of("residual transplant", count, add(clean, pattern, FORGERY_PSNR), clean)


def averaging(outputs: Sequence[Frames], clean: Frames, victims: Sequence[Frames]) -> Iterator[SecurityRow]:
    """Average outputs with different ids; add the mean to a clean picture, subtract it from other outputs."""
    pattern = average(outputs)
    yield row_of("averaging, forge", len(outputs), add(clean, pattern, FORGERY_PSNR), clean)
    for victim in victims:
        yield row_of("averaging, subtract", len(outputs), add(victim, pattern, REMOVAL_PSNR, -1), victim)


def informed(outputs: Sequence[Frames], clean: Frames, victims: Sequence[Frames]) -> Iterator[SecurityRow]:
    """Learn the chips from outputs whose ids are known; write an id that was never issued, and take the marks
    out of other outputs, whose ids are known too.
    """
    learnt = learn(outputs, [media_id_of(number) for number in range(len(outputs))])
    forged = render_learnt(learnt, media_id_of(NEVER_ISSUED), *clean.shape[:2])
    yield row_of("known ids, forge a new id", len(outputs), add(clean, forged, FORGERY_PSNR), clean)
    for number, victim in enumerate(victims):
        its = render_learnt(learnt, media_id_of(FIRST_VICTIM + number), *victim.shape[:2])
        yield row_of("known ids, subtract", len(outputs), add(victim, its, REMOVAL_PSNR, -1), victim)


def own_subtraction(victims: Sequence[Frames]) -> Iterator[SecurityRow]:
    """Subtract a picture's own residual: needs no other output."""
    for victim in victims:
        spoilt = add(victim, residual(victim), REMOVAL_PSNR, -1)
        for then in (None, *FOLLOW_UPS):
            yield row_of("own residual, subtract", 1, spoilt, victim, then)


def averaged_subtraction(outputs: Sequence[Frames], victims: Sequence[Frames]) -> Iterator[SecurityRow]:
    """Subtract the mean of all outputs, and follow it up."""
    pattern = average(outputs)
    for victim in victims:
        spoilt = add(victim, pattern, REMOVAL_PSNR, -1)
        for then in FOLLOW_UPS:
            yield row_of("averaging, subtract", len(outputs), spoilt, victim, then)


def run_security(
    photos: Sequence[Frames], clip: Frames | None, *, counts: Sequence[int] = COUNTS, victims: int = 6
) -> Iterator[SecurityRow]:
    """All trials, on photographs [H, W, 3] and a clip [F, H, W, 3]; victims are not among the outputs.

    Every output has one sub-key and an id of its own, as in service.
    """
    half = len(photos) // 2
    targets = [mark_picture(p, FIRST_VICTIM + n) for n, p in enumerate(pictures(photos[:half], victims, 900))]
    outputs = [mark_picture(p, n) for n, p in enumerate(pictures(photos[half:], max(counts), 0))]
    clean = synthetic.scene(SIDE, SIDE, seed=999)
    yield from own_subtraction(targets)
    for count in counts:
        yield from averaging(outputs[:count], clean, targets)
        yield from informed(outputs[:count], clean, targets)
    yield from averaged_subtraction(outputs, targets)
    if clip is not None:
        yield from clip_fold(clip, synthetic.scene(*clip.shape[1:3], seed=998), FOLDED_FRAMES)
