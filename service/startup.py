"""The collector of garbage while a process starts, and when it ends.

Imports and models leave millions of objects that stay. To look through them for garbage again and again costs
a fifth of the processor time of a start: torch, transformers and diffusers took 13.3 s to import with the
collector as Python sets it, and 9.2 to 11.6 s without. At the end it would look through them all once more,
several times over: 0.75 of the 5.7 s of `assay verify`. Imports nothing that takes time.
"""

from __future__ import annotations

import atexit
import gc

STARTING = 100_000
"""Objects more than freed before the collector looks: rarely enough to cost nothing, often enough that a
process which never calls `started` keeps little garbage."""
RUNNING = gc.get_threshold()


def starting() -> None:
    """Call first in a process, before the imports that take time."""
    gc.set_threshold(STARTING)
    atexit.register(gc.freeze)


def started() -> None:
    """Call when all stands that stays to the end: the collector looks at what comes after it alone, as often
    as Python has it look. Answers are not held up, and pages shared with forked children stay shared."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*RUNNING)
