"""Keeps the worker processes of this machine alive."""

from __future__ import annotations

import logging
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from types import TracebackType

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a dead worker is replaced; doubled each time it dies early."""
HEALTHY_SECONDS = 60.0
"""A worker that lived this long did not die of its start."""
STOP_SECONDS = 20.0


def entry_of(module: str) -> tuple[str, ...]:
    """The command that runs `main` of a module in a process of its own. Not `-m`: the processes of `isolate`
    import the main module of the one that starts them."""
    code = f"from service.startup import starting; starting(); from {module} import main; "
    code += "raise SystemExit(main())"
    return (sys.executable, "-c", code)


WORKER = entry_of("service.worker")
EXIT_CONFIGURATION = 2
"""What a worker answers that cannot run as configured: starting it again would not help."""


def worker_name() -> str:
    """Unique among all workers that ever ran."""
    return f"{socket.gethostname()}:{secrets.token_hex(8)}"


class Supervisor:
    """Starts `count` workers, replaces those that die, and ends them with itself.

    `on_death` is given the name of each worker that ended, and whether it had been told to, so that its lease
    can be released.
    """

    def __init__(
        self,
        count: int,
        *,
        environ: Mapping[str, str],
        on_death: Callable[[str, bool], object],
        clock: Callable[[], float],
        command: tuple[str, ...] = WORKER,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self._environ = dict(environ)
        self._on_death = on_death
        self._clock = clock
        self._command = command
        self._stop_seconds = stop_seconds
        self._stopping = threading.Event()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._threads = [
            threading.Thread(target=self._keep, args=(slot,), daemon=True) for slot in range(count)
        ]

    def __enter__(self) -> Supervisor:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for process in list(self._processes.values()):
            process.terminate()
        for thread in self._threads:
            thread.join(self._stop_seconds)
        for process in list(self._processes.values()):
            process.kill()
        for thread in self._threads:
            thread.join(self._stop_seconds)

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that run now."""
        return [process.pid for process in self._processes.values() if process.poll() is None]

    def _keep(self, slot: int) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            started, name = self._clock(), worker_name()
            code = self._run(slot, name)
            self._report(name)
            if self._stopping.is_set():
                return
            if code == EXIT_CONFIGURATION:
                log.error("worker %s cannot run as configured; it is not started again", name)
                return
            pause = (
                FIRST_PAUSE if self._clock() - started > HEALTHY_SECONDS else min(2 * pause, LONGEST_PAUSE)
            )
            log.warning("worker %s ended with %d; the next one starts in %.1f s", name, code, pause)
            self._stopping.wait(pause)

    def _run(self, slot: int, name: str) -> int:
        # Its standard input is a pipe that nobody writes: it closes when this process ends, however it ends.
        with subprocess.Popen([*self._command, name], stdin=subprocess.PIPE, env=self._environ) as process:
            self._processes[slot] = process
            if self._stopping.is_set():
                process.terminate()
            return process.wait()

    def _report(self, name: str) -> None:
        try:
            self._on_death(name, self._stopping.is_set())
        except Exception:
            log.warning("the lease of worker %s could not be released and will run out", name, exc_info=True)
