"""Hosted systems: called through their providers' APIs, as documented in November 2026. Prices are list
prices for orientation and may be old; an operator's own contract counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from generator.request import MediaKind
from generator.systems.spec import Provider, Seam, SystemSpec, Takes

_WIDE, _TALL = (1280, 720), (720, 1280)
_IMAGE_MAY: Final = {"image": Takes.OPTIONAL}
_HOSTED: Final = SystemSpec(
    name="sora-2",
    source="sora-2",
    pipeline="",
    output=MediaKind.VIDEO,
    width=1280,
    height=720,
    frames=96,
    fps=24,
    size_multiple=2,
    steps=1,
    guidance=0.0,
    negative=False,
    takes=_IMAGE_MAY,
    seam=Seam.FETCHED,
    sizes=(_WIDE, _TALL),
    lengths=(4, 8, 12),
    provider=Provider.OPENAI,
    price=0.10,
)

HOSTED: Final[tuple[SystemSpec, ...]] = (
    _HOSTED,
    replace(
        _HOSTED,
        name="sora-2-pro",
        source="sora-2-pro",
        sizes=(_WIDE, _TALL, (1024, 1792), (1792, 1024)),
        price=0.30,
    ),
    replace(
        _HOSTED,
        name="veo-3.1",
        source="veo-3.1-generate-preview",
        frames=192,
        negative=True,
        sizes=(_WIDE, _TALL, (1920, 1080), (1080, 1920)),
        lengths=(4, 6, 8),
        provider=Provider.VEO,
        price=0.40,
    ),
    replace(
        _HOSTED,
        name="runway-gen4.5",
        source="gen4.5",
        frames=120,
        lengths=(5, 8, 10),
        provider=Provider.RUNWAY,
        price=0.12,
    ),
    replace(
        _HOSTED,
        name="runway-gen4-turbo",
        source="gen4_turbo",
        frames=120,
        takes={"image": Takes.REQUIRED},
        lengths=(5, 10),
        provider=Provider.RUNWAY,
        price=0.05,
    ),
    replace(
        _HOSTED,
        name="kling-v2.6",
        source="kling-v2-6",
        frames=120,
        negative=True,
        sizes=(_WIDE, _TALL, (1920, 1080), (1080, 1920), (960, 960)),
        lengths=(5, 10),
        provider=Provider.KLING,
        price=0.07,
    ),
    replace(
        _HOSTED,
        name="pika-2.2",
        source="fal-ai/pika/v2.2",
        frames=120,
        negative=True,
        sizes=(_WIDE, _TALL, (1920, 1080), (1080, 1920)),
        lengths=(5, 10),
        provider=Provider.PIKA,
        price=0.04,
    ),
    replace(
        _HOSTED,
        name="seedance-2.0",
        source="dreamina-seedance-2-0-260128",
        frames=120,
        takes={"image": Takes.OPTIONAL, "video": Takes.OPTIONAL, "audio": Takes.OPTIONAL},
        most={"image": 9, "video": 3, "audio": 3},
        sizes=(_WIDE, _TALL, (864, 480), (480, 864)),
        lengths=(4, 5, 8, 10, 12, 15),
        provider=Provider.SEEDANCE,
        price=0.15,
    ),
)
