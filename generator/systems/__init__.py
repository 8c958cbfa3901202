"""The systems that Assay runs, one row each: where the weights live and how the pipeline likes to be called.

A row says nothing about the mark but the seam: where the last float picture is whole. Everything else about
marking, checking and signing is the same for every row.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from generator.errors import LoadError
from generator.systems.hosted import HOSTED
from generator.systems.image import IMAGE
from generator.systems.spec import Provider, Seam, SecondPass, SystemSpec, Takes
from generator.systems.video import VIDEO
from generator.systems.wan import EMBEDDED, WAN

SYSTEMS: Final[tuple[SystemSpec, ...]] = (*WAN, *VIDEO, *IMAGE)
"""What runs on this machine."""

__all__ = [
    "EMBEDDED",
    "HOSTED",
    "SYSTEMS",
    "Provider",
    "Seam",
    "SecondPass",
    "SystemSpec",
    "Takes",
    "system_for_pipeline",
    "system_named",
]


def system_named(name: str) -> SystemSpec:
    """The row of this name. Raises `LoadError`, listing the names, when there is none."""
    for spec in (*SYSTEMS, *HOSTED):
        if spec.name == name:
            return spec
    known = ", ".join(spec.name for spec in (*SYSTEMS, *HOSTED))
    raise LoadError(f"system {name!r} is not known; give a folder, or one of: {known}")


def system_for_pipeline(pipeline: str, folders: Collection[str] = ()) -> SystemSpec:
    """The first row that runs this diffusers class; one with a second decoder where `folders` has its name.
    Raises `LoadError` when there is none."""
    rows = [spec for spec in SYSTEMS if spec.pipeline == pipeline and spec.name != EMBEDDED]
    for spec in sorted(rows, key=lambda spec: spec.decoder is None):  # a sort is stable: else the first row
        if spec.decoder is None or spec.decoder in folders:
            return spec
    raise LoadError(
        f"pipeline class {pipeline} has no row in generator/systems/, so its seam for the mark is not known"
    )
