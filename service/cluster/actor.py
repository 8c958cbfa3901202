"""The worker of `service.worker` as a Ray actor: one process, one loaded pipeline, one GPU or CPU slot."""

from __future__ import annotations

import logging
import os
import threading

from service.cluster.session import hide_main
from service.errors import ConfigurationError
from service.logs import start_logging
from service.production import system_spec
from service.settings import LOG_FORMAT, Settings
from service.supervisor import EXIT_CONFIGURATION
from service.worker import Load, Worker, load_worker

log = logging.getLogger(__name__)


class WorkerActor:
    """Claims jobs from the database until told to stop. Settings and keys are those of its own node: no
    secret passes through Ray.

    `model` is what the fleet serves; a node that is configured for another one does not work for it.
    """

    def __init__(self, name: str, model: str, load: Load) -> None:
        self._name = name
        self._model = model
        self._load = load
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._told: list[str] = []

    def run(self) -> int:
        """Work until told to stop; 0, or `EXIT_CONFIGURATION` where this node cannot work as configured."""
        hide_main()
        start_logging("worker", os.environ.get(LOG_FORMAT, "text"))
        try:
            found = system_spec(Settings.from_env(os.environ).model).name
            if found != self._model:
                raise ConfigurationError(f"ASSAY_MODEL names {found} on this node, {self._model} at the head")
            worker = load_worker(self._name, os.environ, self._load)
        except ConfigurationError as error:
            log.error("%s", error)
            return EXIT_CONFIGURATION
        with self._lock:
            self._worker = worker
        for order in self._told:
            getattr(worker, order)()
        worker.run()
        return 0

    def drain(self) -> None:
        """As `Worker.drain`; one that is still loading stops when it has loaded."""
        self._tell("drain")

    def retire(self) -> None:
        """As `Worker.retire`."""
        self._tell("retire")

    def where(self) -> str:
        """The id of the node that this actor runs on."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def _tell(self, order: str) -> None:
        with self._lock:
            worker = self._worker
            self._told.append(order)
        if worker is not None:
            getattr(worker, order)()
