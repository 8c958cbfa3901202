"""Which class speaks to which provider."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from generator.errors import LoadError
from generator.hosted.adapter import Credentials, HostedApi
from generator.hosted.kling import Kling
from generator.hosted.openai import OpenAiVideos
from generator.hosted.pika import Pika
from generator.hosted.runway import Runway
from generator.hosted.seedance import Seedance
from generator.hosted.veo import Veo
from generator.hosted.wire import Wire, WireLimits
from generator.systems import Provider, SystemSpec

APIS: Final[dict[Provider, type[HostedApi]]] = {
    Provider.OPENAI: OpenAiVideos,
    Provider.VEO: Veo,
    Provider.RUNWAY: Runway,
    Provider.KLING: Kling,
    Provider.PIKA: Pika,
    Provider.SEEDANCE: Seedance,
}


def api_for(
    spec: SystemSpec,
    credentials: Credentials,
    *,
    sleep: Callable[[float], None],
    now: Callable[[], float],
    base: str = "",
    limits: WireLimits | None = None,
) -> HostedApi:
    """The API of a hosted row, at `base` (scheme and host) or the provider's own address.

    Raises `LoadError` for a row of a system that runs here, and where the key is missing.
    """
    if spec.provider is None:
        raise LoadError(f"{spec.name} runs on this machine; it has no provider")
    if not credentials.key or (spec.provider is Provider.KLING and not credentials.secret):
        raise LoadError(f"{spec.name}: the key of its provider is missing")
    kind = APIS[spec.provider]
    return kind(spec, credentials, Wire(base or kind.address, sleep, limits or WireLimits()), now)
