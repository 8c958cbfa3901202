"""The exceptions of the service. Everything that a caller may catch derives from `ServiceError`."""

from __future__ import annotations

import errno
from collections.abc import Mapping

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class ServiceError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigurationError(ServiceError):
    """The service cannot start as configured; the message names the setting and the remedy."""


class EngineError(ServiceError):
    """Ray did not start or could not be reached."""


class LeaseLostError(ServiceError):
    """Another worker holds the job now: whatever this one made must not be published."""


class JobCancelledError(ServiceError):
    """The client deleted or cancelled the job while it ran."""


class DrainingError(ServiceError):
    """The worker was told to stop; the job goes back to the queue and costs no attempt."""


class WebhookError(ServiceError):
    """The address of a webhook must not be called, or did not answer."""


class StorageError(ServiceError):
    """The bucket in which finished files are kept does not answer, or does not take them."""


class IsolationError(ServiceError):
    """The limited process gave no answer: it crashed, ran out of a limit, or said nothing usable."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Problem(ServiceError):  # noqa: N818 - the name that RFC 9457 gives it
    """An answer to a request that is not a success: HTTP status and a stable reason.

    `reason` is for programs and never changes its meaning; `detail` is for people. `retry` says
    whether the same request may succeed later (sent as `x-should-retry`). `code` is what clients of the
    `openai` SDK see; it is `reason` unless they know a word of their own.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        *,
        stage: str = "request",
        code: str | None = None,
        param: str | None = None,
        retry: bool = False,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.stage = stage
        self.code = code or reason
        self.param = param
        self.retry = retry
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
