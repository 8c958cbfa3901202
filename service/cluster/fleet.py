"""The process beside the API that keeps the worker actors (`serve.FLEET`): places, scales, replaces.

An actor's `run` is one Ray task, so its death wakes the fleet at once: its lease is released, another
actor takes the job over, and a new actor is started, on the same node where that one lives, since the
weights are in its page cache. The fleet is a process of its own because Ray ends a driver whose head is
gone: the API lives on, and `service.supervisor` starts the fleet, and with it a Ray of our own, again.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.cluster.actor import WorkerActor
from service.cluster.scaling import Scale
from service.cluster.session import ray_session
from service.errors import ConfigurationError, EngineError
from service.logs import start_logging
from service.production import Producer, system_spec
from service.settings import LOG_FORMAT, Settings
from service.store.patience import AWAY
from service.supervisor import (
    EXIT_CONFIGURATION,
    FIRST_PAUSE,
    HEALTHY_SECONDS,
    LONGEST_PAUSE,
    STOP_SECONDS,
    worker_name,
)
from service.wiring import Services, open_services
from service.worker import Load, stop_with_parent

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks at the queue; a death is noticed at once."""


@dataclass(slots=True)
class Member:
    """One actor of the fleet."""

    name: str
    actor: Any
    ended: Any
    """The task that ends when the actor does."""
    where: Any
    """The task that answers with its node, once it has one."""
    started: float
    idle_since: float
    retiring: bool = False


class Fleet:
    """Keeps as many actors as `scale` wants. `clock`: seconds that never go back."""

    def __init__(
        self,
        ray: Any,
        services: Services,
        scale: Scale,
        *,
        name: str,
        load: Load = Producer.load,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ray = ray
        self._services = services
        self._scale = scale
        self._name = name
        self._load = load
        self._clock = clock
        self._model = system_spec(services.settings.model).name
        self._members: list[Member] = []
        self._count = 0
        self._nodes: list[str] = []
        self._pause = FIRST_PAUSE
        self._not_before = clock()
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Tell every worker to stop; `run` then returns."""
        self._stopping.set()

    def run(self) -> int:
        """Keep the fleet until `stop`: 0. `EXIT_CONFIGURATION` where no node can work as configured."""
        try:
            while not self._stopping.is_set():
                if self._collect() == EXIT_CONFIGURATION and not self._members:
                    return EXIT_CONFIGURATION
                try:
                    self._adjust()
                except AWAY as error:
                    log.warning("the database does not answer: %s", error.orig)
        finally:
            self._end()
        return 0

    def _collect(self) -> int:
        """Wait a moment for actors that end, and see to them; the worst exit code among them."""
        if not self._members:
            self._stopping.wait(LOOK_SECONDS)
            return 0
        ended, _ = self._ray.wait([one.ended for one in self._members], timeout=LOOK_SECONDS)
        return max([self._bury(one) for one in self._members if one.ended in ended], default=0)

    def _bury(self, member: Member) -> int:
        self._members = [one for one in self._members if one is not member]
        try:
            code = int(self._ray.get(member.ended))
        except self._ray.exceptions.RayError as error:
            log.warning("worker %s died: %s", member.name, str(error).strip().splitlines()[0])
            code = 1
        self._release(member.name)
        if code:
            self._remember(member)
            early = self._clock() - member.started < HEALTHY_SECONDS
            pause = LONGEST_PAUSE if code == EXIT_CONFIGURATION else self._pause
            self._not_before = self._clock() + pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE) if early else FIRST_PAUSE
        return code

    def _release(self, name: str) -> None:
        try:
            self._services.jobs.release_worker(name)
            self._services.workers.goodbye(name)
        except Exception:
            log.warning("the lease of worker %s could not be released and will run out", name, exc_info=True)

    def _remember(self, member: Member) -> None:
        """Where the next one should go: the weights are in that node's page cache."""
        ready, _ = self._ray.wait([member.where], timeout=0)
        try:
            self._nodes += [str(self._ray.get(ref)) for ref in ready]
        except self._ray.exceptions.RayError:
            log.info("worker %s died before it told its node", member.name)

    def _adjust(self) -> None:
        """Start or retire actors, after the queue."""
        now = self._clock()
        demand = self._services.jobs.demand(self._model)
        working = [one for one in self._members if not one.retiring]
        for one in working:
            if one.name in demand.busy:
                one.idle_since = now
        wanted = self._scale.wanted(demand.open)
        while len(working) < wanted and now >= self._not_before:
            working.append(self._start())
        idle = [one for one in working if now - one.idle_since >= self._scale.idle]
        for one in idle[: max(0, len(working) - wanted)]:
            log.info("worker %s has nothing to do and is sent home", one.name)
            one.retiring = True
            one.actor.retire.remote()

    def _start(self) -> Member:
        self._count += 1
        name, now = f"{self._name}/{self._count}", self._clock()
        actor = self._ray.remote(WorkerActor).options(**self._options()).remote(name, self._model, self._load)
        member = Member(name, actor, actor.run.remote(), actor.where.remote(), now, now)
        self._members.append(member)
        log.info("worker %s starts", name)
        return member

    def _options(self) -> dict[str, Any]:
        settings = self._services.settings
        options: dict[str, Any] = {
            "num_cpus": settings.ray_cpus_per_worker,
            "num_gpus": settings.ray_gpus_per_worker if settings.device.startswith("cuda") else 0,
            "max_concurrency": 3,  # orders arrive while `run` runs
            "max_restarts": 0,  # the fleet starts another one: under a new name, after a pause
        }
        if self._nodes:
            strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
            options["scheduling_strategy"] = strategy(self._nodes.pop(), soft=True)
        return options

    def _end(self) -> None:
        for member in self._members:
            member.actor.drain.remote()
        refs = [one.ended for one in self._members]
        if refs:
            seconds = self._services.settings.drain_seconds + STOP_SECONDS
            self._ray.wait(refs, num_returns=len(refs), timeout=seconds)
        for member in self._members:
            self._release(member.name)


def main(load: Load = Producer.load) -> int:
    """Entry of the process. Exit code 2: it cannot work as configured, so it is not to be started again."""
    start_logging("fleet", os.environ.get(LOG_FORMAT, "text"))
    name = sys.argv[1] if len(sys.argv) > 1 else worker_name()
    try:
        services = open_services(Settings.from_env(os.environ))
        scale = Scale.of(services.settings)
        slots = max(1, round(scale.most * services.settings.ray_cpus_per_worker))
        with ray_session(services.settings, slots=slots) as ray:
            fleet = Fleet(ray, services, scale, name=name, load=load)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: fleet.stop())
            stop_with_parent(fleet.stop)
            return fleet.run()
    except ConfigurationError as error:
        log.error("%s", error)
        return EXIT_CONFIGURATION
    except EngineError as error:  # it may be there in a moment
        log.error("%s", error)
        return 1
