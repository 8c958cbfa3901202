"""How a stage proves that it came from the stage before.

Each stage type takes a `Seal`, and each seal is held by the one module that may make that stage. Leaving it
out does not type-check; a foreign seal, or `dataclasses.replace`, fails at run time. So `release` cannot be
given a file that was not signed, nor `sign` one in which the mark was not read.
"""

from __future__ import annotations

from collections.abc import Callable

from generator.errors import Cancelled, StageError

Progress = Callable[[str, float], None]
"""Called as `progress(stage, fraction)`: the stage's name and how much of it is done, 0 to 1."""
CancelRequested = Callable[[], bool]
"""Asked between steps; True ends the run with `Cancelled`."""


class Seal:
    """An unforgeable token: equal to nothing but itself."""

    __slots__ = ()


def require_seal(given: object, held: Seal, stage: str) -> None:
    """Raise `StageError` unless `given` is the very seal that the stage's own module holds."""
    if given is not held:
        raise StageError(f"{stage} was built by hand; only the stage before it may make one")


def no_progress(stage: str, fraction: float) -> None:
    """Report to nobody."""


def never_cancelled() -> bool:
    """A run that nobody takes back."""
    return False


def stop_if(cancelled: CancelRequested) -> None:
    """Raise `Cancelled` when the caller has taken the request back."""
    if cancelled():
        raise Cancelled("the request was taken back; nothing was kept")
