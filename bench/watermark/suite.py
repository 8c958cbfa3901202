"""Which attacks are run on what, and which of them the mark promises to survive.

The lists join the public suites (Video Seal and OmniSeal, VideoMarkBench, WAVES, VidSig) with the chains that
a picture meets on its way through messengers and screens; docs/robustness.md gives each source.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from bench.watermark import attacks as a
from bench.watermark.attacks import Attack, Kind, kinds_of
from bench.watermark.errors import BenchError

SuiteName = Literal["core", "full", "quick"]

PHOTOMETRIC: tuple[Attack, ...] = (
    *(a.Brightness(f) for f in (0.1, 0.5, 1.3, 1.5, 2.0)),
    *(a.Contrast(f) for f in (0.5, 1.5, 2.0)),
    *(a.Saturation(f) for f in (0.5, 1.5)),
    *(a.Hue(t) for t in (-0.25, -0.1, 0.1, 0.25)),
    *(a.Gamma(g) for g in (0.5, 2.0)),
    a.Grayscale(),
)
FILTERS: tuple[Attack, ...] = (
    *(a.Blur(k) for k in (3, 9, 17)),
    a.SigmaBlur(2.0),
    *(a.Median(k) for k in (3, 5, 9)),
    a.Sharpen(2.0),
    *(a.Noise(s) for s in (0.01, 0.05, 0.1, 0.2)),
    a.SaltPepper(0.05),
)
GEOMETRY: tuple[Attack, ...] = (
    a.HorizontalFlip(),
    a.VerticalFlip(),
    *(a.Rotate(d) for d in (5.0, 10.0, 30.0, 45.0, 90.0)),
    *(a.Resize(s) for s in (0.32, 0.45, 0.5, 0.55, 0.71, 0.95)),
    *(a.Crop(s) for s in (0.32, 0.45, 0.55, 0.6, 0.71, 0.77, 0.95)),
    a.CropRestore(0.75),
    a.Stretch(1.1),
    *(a.Perspective(d) for d in (0.1, 0.3, 0.5)),
)
COVERING: tuple[Attack, ...] = (
    a.TextOverlay(),
    a.Erase(0.25),
    a.Inset(0.25),
    a.Collage(0.25),
    a.Collage(0.5),
)
STILL_CODECS: tuple[Attack, ...] = (
    *(a.Jpeg(q) for q in (90, 80, 60, 50, 40, 25, 10)),
    a.Webp(50),
    *(a.Reencode("h264", crf) for crf in (28, 32)),
)
IMAGES: tuple[Attack, ...] = (
    a.Identity(),
    *STILL_CODECS,
    *GEOMETRY,
    *PHOTOMETRIC,
    *FILTERS,
    *COVERING,
    *(a.combination(a.Jpeg(q)) for q in (80, 60, 40)),
    a.SCREEN_CAPTURE,
    a.STILL_COMBINATION,
)

CODECS: tuple[Attack, ...] = (
    *(a.Reencode("h264", crf) for crf in (23, 28, 30, 40, 50)),
    *(a.Reencode("h264rgb", crf) for crf in (23, 30, 40, 50)),
    *(a.Reencode("h265", crf) for crf in (23, 30, 40, 50)),
    a.Reencode("h265 10bit", 23),
    a.Reencode("vp9", 35),
    a.Reencode("av1", 35),
    a.DOUBLE,
    a.Sequence("h264 4 then 1 mbit", (a.Bitrate(4.0), a.Bitrate(1.0))),
    *(a.combination(a.Reencode("h264", crf)) for crf in (23, 30, 40, 50)),
    a.Animation("gif"),
    a.Animation("webp"),
)
TEMPORAL: tuple[Attack, ...] = (
    *(a.Drop(p) for p in (0.05, 0.2, 0.5)),
    a.Swap(0.2),
    *(a.Average(n) for n in (3, 5)),
    a.InsertNoise(),
    a.Reverse(),
    *(a.Speed(f) for f in (0.5, 2.0)),
    a.FrameRate(),
    a.Trim("first"),
    a.Trim("middle"),
    a.Splice(0.5),
    a.DROP_CROP,
    a.OneJpegFrame(),
)
VIDEOS: tuple[Attack, ...] = (
    a.Identity(),
    *CODECS,
    a.HorizontalFlip(),
    a.VerticalFlip(),
    *(a.Resize(s) for s in (0.5, 0.55, 0.71)),
    *(a.Crop(s) for s in (0.55, 0.6, 0.71)),
    a.Rotate(10.0),
    a.Rotate(90.0),
    *(a.Perspective(d) for d in (0.1, 0.5)),
    *(a.Brightness(f) for f in (0.5, 1.3, 1.5)),
    *(a.Contrast(f) for f in (0.5, 1.5)),
    *(a.Saturation(f) for f in (0.5, 1.5)),
    a.Hue(0.25),
    a.Grayscale(),
    *(a.Jpeg(q) for q in (50, 40)),
    a.Blur(9),
    a.SigmaBlur(2.0),
    a.Median(9),
    a.Collage(0.5),
    *TEMPORAL,
    a.SCREEN_RECORDING,
    a.MESSENGER,
)

CORE: tuple[Attack, ...] = (
    a.Identity(),
    a.Jpeg(50),
    a.Reencode("h264", 28),
    a.Resize(0.5),
    a.Crop(0.6),
    a.HorizontalFlip(),
    a.SigmaBlur(2.0),
    a.Brightness(1.3),
)
"""What the mark must survive on every picture and clip; H.264 is asked of clips alone."""

QUICK: tuple[Attack, ...] = (
    *CORE,
    a.Rotate(10.0),
    a.Crop(0.71),
    a.SCREEN_CAPTURE,
    a.OneJpegFrame(),
    a.MESSENGER,
)


@dataclass(frozen=True)
class Promise:
    """At least `floor` of the trials under these attacks recover the message."""

    kind: Kind
    floor: float
    attacks: tuple[Attack, ...]


CORE_PROMISES: tuple[Promise, ...] = (
    Promise("image", 1.0, tuple(attack for attack in CORE if attack != a.Reencode("h264", 28))),
    Promise("video", 1.0, CORE),
)
PROMISES: tuple[Promise, ...] = (
    Promise(
        "image",
        1.0,
        (
            a.Identity(),
            *(a.Jpeg(q) for q in (90, 80, 60, 50, 40)),
            a.Webp(50),
            *(a.Resize(s) for s in (0.32, 0.45, 0.55, 0.71, 0.95)),
            *(a.Crop(s) for s in (0.55, 0.71, 0.77, 0.95)),
            a.HorizontalFlip(),
            a.VerticalFlip(),
            *(a.Blur(k) for k in (3, 9, 17)),
            *(a.Median(k) for k in (3, 5)),
            *(a.Noise(s) for s in (0.01, 0.05)),
            *(a.Brightness(f) for f in (0.5, 1.5)),
            *(a.Contrast(f) for f in (0.5, 1.5)),
            *(a.Saturation(f) for f in (0.5, 1.5)),
            *(a.Hue(t) for t in (-0.25, -0.1, 0.1, 0.25)),
            *(a.Gamma(g) for g in (0.5, 2.0)),
            a.TextOverlay(),
            a.Erase(0.25),
        ),
    ),
    Promise(
        "image",
        0.95,
        (
            *(a.Rotate(d) for d in (5.0, 10.0, 30.0, 45.0, 90.0)),
            a.Crop(0.45),
            a.CropRestore(0.75),
            a.Perspective(0.1),
            a.Jpeg(25),
            a.SCREEN_CAPTURE,
            a.combination(a.Jpeg(60)),
        ),
    ),
    Promise("image", 0.85, (a.Grayscale(), a.Reencode("h264", 32))),
    Promise(
        "video",
        1.0,
        (
            *(a.Reencode("h264", crf) for crf in (23, 30)),
            *(a.Reencode("h265", crf) for crf in (23, 30)),
            a.Reencode("vp9", 35),
            a.Reencode("av1", 35),
            a.DOUBLE,
            a.Resize(0.55),
            a.Crop(0.55),
            a.Rotate(10.0),
            a.Rotate(90.0),
            a.HorizontalFlip(),
            a.VerticalFlip(),
            a.Blur(9),
            a.Median(9),
            a.Jpeg(40),
            a.Drop(0.5),
            a.Swap(0.2),
            a.Average(3),
            a.Reverse(),
            *(a.Speed(f) for f in (0.5, 2.0)),
            a.FrameRate(),
            a.Trim("first"),
            a.Trim("middle"),
            a.Splice(0.5),
            a.MESSENGER,
        ),
    ),
    Promise("video", 0.95, (a.Grayscale(), a.SCREEN_RECORDING, a.DROP_CROP, a.Perspective(0.1))),
    Promise("video", 0.80, (a.Reencode("h264", 40),)),
)


def regeneration(vae: Path | None) -> tuple[Attack, ...]:
    """Autoencoder round trips, when the folder with TAEF2's weights is given."""
    if vae is None:
        return ()
    return tuple(
        a.VaeRoundTrip(passes, noise, vae) for passes, noise in ((1, 0.0), (2, 0.0), (1, 0.15), (1, 0.3))
    )


def attacks_for(suite: SuiteName, kind: Kind, vae: Path | None = None) -> tuple[Attack, ...]:
    """The attacks of a suite that make sense on `kind`; regeneration is tried on images alone."""
    if suite == "full":
        return IMAGES + regeneration(vae) if kind == "image" else VIDEOS
    chosen = CORE if suite == "core" else QUICK
    return tuple(attack for attack in chosen if kind in kinds_of(attack))


def promises_for(suite: SuiteName) -> tuple[Promise, ...]:
    """The floors a suite is held to."""
    return PROMISES if suite == "full" else CORE_PROMISES


def choose(attacks: Iterable[Attack], patterns: Iterable[str]) -> tuple[Attack, ...]:
    """Attacks whose name matches one of the shell patterns; all when there is no pattern."""
    given = tuple(patterns)
    return tuple(x for x in attacks if not given or any(fnmatchcase(x.name, pattern) for pattern in given))


def require_any(chosen: Iterable[Attack], patterns: Iterable[str]) -> None:
    """Raise `BenchError` when patterns were given and nothing matches."""
    if not tuple(chosen):
        raise BenchError(f"no attack matches {', '.join(patterns) or 'the suite'}; --list shows the names")
