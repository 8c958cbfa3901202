"""`assay serve`: the API in this process, the workers in others, all ended together."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Mapping

import uvicorn

from service.api.app import create_app
from service.api.lookups import Lookups
from service.api.rates import RateLimiter
from service.api.state import ApiState
from service.inspection import build_inspector
from service.links import link_signer
from service.logs import start_logging
from service.production import system_spec
from service.settings import Settings
from service.startup import started
from service.supervisor import STOP_SECONDS, WORKER, Supervisor, entry_of
from service.telemetry import open_tracer
from service.webhooks import Sender
from service.wiring import Services, follow_policy, open_services

log = logging.getLogger(__name__)

GRACE_SECONDS = 10
"""Requests in flight may finish for this long after a stop."""
KEEP_ALIVE_SECONDS = 30
FLEET = entry_of("service.cluster.fleet")
"""With the engine `ray`: one process that keeps the worker actors."""


def build_state(services: Services) -> ApiState:
    """The parts behind the routes. Raises `ConfigurationError`."""
    return ApiState(
        services=services,
        policies=follow_policy(services.settings, clock=services.clock, record=True),
        inspector=build_inspector(services.settings),
        spec=system_spec(services.settings.model),
        sender=Sender(services.webhooks, clock=services.clock, private=services.settings.webhook_private),
        rates=RateLimiter(services.settings.requests_per_minute, clock=time.monotonic),
        links=link_signer(services.settings, clock=services.clock),
        tracer=open_tracer(services.settings, "api"),
        jobs=Lookups(services.jobs.find_many),
        keys=Lookups(services.api_keys.check_many),
    )


def serve(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    worker: tuple[str, ...] = WORKER,
    fleet: tuple[str, ...] = FLEET,
) -> None:
    """Serve until stopped. `worker` is the command of a worker process, `fleet` that of the process which
    keeps Ray's, `environ` what they are started with.

    Raises `ConfigurationError`.
    """
    start_logging("api", settings.log_format)
    settings.check_exposure()
    services = open_services(settings)
    app = create_app(build_state(services))
    started()
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    # uvicorn raises the signal again once it has shut down; the workers must be ended first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    log.info("serving http://%s:%d/ with the data in %s", settings.host, settings.port, settings.home)
    on_ray = settings.engine == "ray"
    with Supervisor(
        1 if on_ray else settings.workers,
        environ={**environ, "ASSAY_WORKERS": str(settings.workers)},
        on_death=services.jobs.release_worker,
        clock=time.monotonic,
        command=fleet if on_ray else worker,
        stop_seconds=settings.drain_seconds + (2 if on_ray else 1) * STOP_SECONDS,
    ):
        uvicorn.Server(config).run()
