"""Systems that somebody else runs: guarded before anything is sent, marked and signed when the file arrives.

What cannot be promised for them: an unmarked file exists, at the provider and, until it is marked, in a
folder that only this process reads.
"""

from generator.hosted.adapter import Answer, Asked, Cost, Credentials, HostedApi, State
from generator.hosted.apis import api_for
from generator.hosted.errors import (
    HostedBusyError,
    HostedCredentialsError,
    HostedError,
    HostedRefusalError,
    HostedTimeoutError,
)
from generator.hosted.run import HostedGenerator
from generator.hosted.wire import Wire, WireLimits

__all__ = [
    "Answer",
    "Asked",
    "Cost",
    "Credentials",
    "HostedApi",
    "HostedBusyError",
    "HostedCredentialsError",
    "HostedError",
    "HostedGenerator",
    "HostedRefusalError",
    "HostedTimeoutError",
    "State",
    "Wire",
    "WireLimits",
    "api_for",
]
