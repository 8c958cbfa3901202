"""What can go wrong with a provider, one class per thing that a caller can act on."""

from __future__ import annotations

from generator.errors import GeneratorError


class HostedError(GeneratorError):
    """The provider failed, or answered something that its documentation does not know."""

    reason = "provider_failed"


class HostedRefusalError(HostedError):
    """The provider's own moderation refused the prompt, a reference, or its own result."""

    reason = "provider_refused"


class HostedBusyError(HostedError):
    """Rate limit or quota, still there after the waits that the provider asked for."""

    reason = "provider_busy"


class HostedTimeoutError(HostedError):
    """No answer, or no result, within the time that was set."""

    reason = "provider_timeout"


class HostedCredentialsError(HostedError):
    """The provider does not accept the key, or the account may not use the model."""

    reason = "provider_credentials"
