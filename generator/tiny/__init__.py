"""The embedded generator "assay-tiny": a small text-to-video latent diffusion model, and what made it.

The weights are an ordinary diffusers folder; `DiffusionPipeline.from_pretrained(weights_folder())` loads it
like any large model. This module needs nothing but the standard library; the other modules of the package
render, train, pack and evaluate, and are not needed to generate.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

_HERE = Path(__file__).parent


class TinyError(Exception):
    """The embedded generator's files are missing or damaged, or a training input is unusable."""


@dataclass(frozen=True)
class TinySettings:
    """What the model was trained for: pixels, frames, frames per second, and the sampler's settings."""

    width: int
    height: int
    frames: int
    fps: int
    steps: int
    guidance: float
    max_sequence_length: int


def weights_folder() -> Path:
    """The folder for `DiffusionPipeline.from_pretrained`.

    Raises:
        TinyError: the installed package holds no weights.
    """
    folder = _HERE / "weights"
    if not (folder / "model_index.json").is_file():
        raise TinyError(f"no model_index.json in {folder}: the weights are missing; reinstall the package")
    return folder


def load_settings(path: Path | None = None) -> TinySettings:
    """Reads settings.json of the package, or of `path`.

    Raises:
        TinyError: unreadable, not JSON, or not exactly the fields of `TinySettings`, all positive numbers.
    """
    source = _HERE / "settings.json" if path is None else path
    try:
        values = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TinyError(f"cannot read {source}: {error}; reinstall the package") from error
    names = {field.name for field in fields(TinySettings)}
    if not isinstance(values, dict) or set(values) != names:
        raise TinyError(f"{source} must hold exactly {sorted(names)}; reinstall the package")
    for name, value in values.items():
        if (
            isinstance(value, bool)
            or not isinstance(value, int if name != "guidance" else int | float)
            or value <= 0
        ):
            raise TinyError(f"{source}: {name} is {value!r}; a positive number is needed")
    return TinySettings(**values)
