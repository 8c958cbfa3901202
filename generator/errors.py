"""What can go wrong between a request and a released file, one class per thing a caller can act on."""

from __future__ import annotations

from typing import ClassVar


class GeneratorError(Exception):
    """Base of this package. `reason` is the stable code that a service puts into its answer."""

    reason: ClassVar[str] = "generation_failed"


class RequestError(GeneratorError):
    """The request cannot be run as it is written; the message names the field and a value that would do."""

    reason = "invalid_request"


class LoadError(GeneratorError):
    """The named system is unknown, or its files are missing or broken."""

    reason = "system_unavailable"


class LeakError(GeneratorError):
    """The pipeline could let a picture out that carries no mark, so it is not run at all."""

    reason = "unmarkable_pipeline"


class Cancelled(GeneratorError):  # noqa: N818  an outcome that the caller asked for, not a fault
    """The caller took the request back; nothing was kept."""

    reason = "cancelled"


class SampleError(GeneratorError):
    """The pipeline itself failed, for instance for want of memory."""

    reason = "sampling_failed"


class QualityError(GeneratorError):
    """The pictures are broken: not finite, black, frozen, flickering, or not what was asked for in number
    or size."""

    reason = "quality_check_failed"


class SelfCheckError(GeneratorError):
    """The detector did not read the id back from the encoded file, at any strength that may be used."""

    reason = "mark_not_readable"


class MarkingError(GeneratorError):
    """A file made elsewhere cannot be marked: too small, too long, or marked already."""

    reason = "cannot_mark"


class BindingError(GeneratorError):
    """After signing, the manifest does not read back, or it does not name the mark that is in the picture."""

    reason = "manifest_not_readable"


class StageError(GeneratorError):
    """A stage was built by hand instead of by the stage before it: a fault of the program, never of the
    request."""

    reason = "stage_skipped"
