"""Pictures that show what an adapter was made for: drawn at intake, looked at, and thrown away.

They come through the same gates as any other result, guard and mark included, so that there is no second way
to a picture; nothing is encoded, signed or registered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from generator.adapters import LoadedAdapter, put_in, refuse_unknown
from generator.errors import LoadError
from generator.load import System
from generator.pipeline import SafeGenerator
from generator.request import Request
from generator.sample import sample
from generator.stages import never_cancelled, no_progress
from guard import Adapter
from watermark import AudioDetector, Mark

Render = Callable[[str, int], NDArray[np.uint8]]
"""`render(prompt, seed)`: one picture, uint8 [H, W, 3] sRGB."""


def trial_pictures(safe: SafeGenerator, mark: Mark, *, steps: int | None = None) -> Render:
    """Draws with the system of `safe` as it is: the middle frame of each result.

    Rendering raises what `SafeGenerator.admit` and `sample` raise; `PolicyViolation` where the policy refuses
    the prompt, which says as much of an adapter as any picture.
    """

    listener = AudioDetector(safe.detector.rings)

    def render(prompt: str, seed: int) -> NDArray[np.uint8]:
        allowed = safe.admit(Request(prompt=prompt, seed=seed, steps=steps))
        made = sample(
            safe.system, allowed, mark, listener=listener, progress=no_progress, cancelled=never_cancelled
        )
        frames: NDArray[np.uint8] = made.pixels
        return np.asarray(frames[len(frames) // 2], np.uint8)

    return render


@contextmanager
def with_adapter(safe: SafeGenerator, path: Path, adapter: Adapter) -> Iterator[SafeGenerator]:
    """Yields `safe` with the LoRA at `path` in its system, which no rule has judged yet; then takes it out.

    Raises `LoadError` where the pipeline does not take it. The system must do nothing else meanwhile.
    """
    system = safe.system
    refuse_unknown(system.pipeline, system.adapters)
    name = put_in(system.pipeline, path, adapter, beside=system.adapters, weight=1.0)
    try:
        tried = LoadedAdapter(name, adapter.sha256, 1.0, "")
        yield replace(safe, system=replace(system, adapters=(*system.adapters, tried)))
    finally:
        _take_out(system, name)


def _take_out(system: System, name: str) -> None:
    try:
        system.pipeline.delete_adapters(name)
        if system.adapters:
            names = [adapter.name for adapter in system.adapters]
            system.pipeline.set_adapters(names, [adapter.weight for adapter in system.adapters])
    except (ValueError, AttributeError, RuntimeError) as error:
        raise LoadError(f"the adapter does not come out again; load the system afresh: {error}") from error
    refuse_unknown(system.pipeline, system.adapters)
