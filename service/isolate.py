"""Runs one function on one untrusted file in a process of its own, and believes only a bounded answer.

A server process with the heavy imports done is forked for every file (`multiprocessing`'s
"forkserver"), so a file starts in milliseconds and meets a process that no other file has touched.
The answer comes back as bytes of bounded length, never as a pickle: whoever takes over the child
can lie in its answer, and nothing more.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import os
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from service.errors import IsolationError
from service.sandbox import ProcessLimits, enter

PRELOAD = ("service.preload",)
"""What the server process imports before it is asked for the first child."""

Task = Callable[..., bytes]
"""A module-level function. Its arguments are pickled to the child, its result is sent back as it is."""

_OK, _REFUSED, _FAILED = b"+", b"-", b"!"
MESSAGE_CHARS = 500
EXIT_SECONDS = 1.0
"""A process that has answered ends within milliseconds, or is ended."""


class RefusedError(Exception):
    """Raised by a task: the file is not acceptable, and why. Crosses the border as reason and text."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def _prepare() -> None:
    """What the server process is to import, and with how many threads its matrices are multiplied: one.
    Detection multiplies many small ones, and threads that wait for each other on a busy machine cost it up
    to forty times its time (measured). An operator's own setting stands.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(PRELOAD))


def start_server() -> None:
    """Start the server process now, so that its imports go on beside those of this process."""
    _prepare()
    multiprocessing.forkserver.ensure_running()


class Isolator:
    """Starts limited processes, at most `parallel` at a time."""

    def __init__(self, limits: ProcessLimits, *, parallel: int = 2) -> None:
        self._limits = limits
        _prepare()
        self._context = multiprocessing.get_context("forkserver")
        self._slots = threading.BoundedSemaphore(parallel)

    def warm(self) -> None:
        """Do the imports now instead of at the first file."""
        self.run(_nothing)

    def run(self, task: Task, *arguments: Any) -> bytes:
        """Call `task(*arguments)` in a limited process.

        Raises `RefusedError` as the task raised it; `IsolationError` with reason `timeout`, `crashed`,
        `out_of_memory` or `failed` when there is no answer.
        """
        with self._slots:
            receiver, sender = self._context.Pipe(duplex=False)
            child = self._context.Process(
                target=_main, args=(sender, self._limits, task, arguments), daemon=True, name="assay-isolated"
            )
            child.start()
            sender.close()
            try:
                answer = self._answer(receiver)
                child.join(EXIT_SECONDS)
            finally:
                receiver.close()
                child.kill()
                child.join()
        return _checked(answer)

    def _answer(self, receiver: Connection) -> bytes:
        if not receiver.poll(self._limits.seconds):
            raise IsolationError(
                "timeout", f"Reading the file took more than {self._limits.seconds:g} seconds."
            )
        try:
            answer = receiver.recv_bytes(self._limits.answer_bytes)
        except (EOFError, OSError) as error:  # OSError: longer than allowed
            raise IsolationError(
                "crashed", "The process that read the file ended without an answer."
            ) from error
        return answer


def _checked(answer: bytes) -> bytes:
    kind, body = answer[:1], answer[1:]
    if kind == _OK:
        return body
    reason, _, message = body.decode("utf-8", "replace").partition("\n")
    if kind == _REFUSED:
        raise RefusedError(reason, message)
    raise IsolationError(reason, message)


def _main(sender: Connection, limits: ProcessLimits, task: Task, arguments: tuple[Any, ...]) -> None:
    enter(limits)
    try:
        answer = _OK + task(*arguments)
    except RefusedError as error:
        answer = _REFUSED + _text(error.reason, str(error))
    except MemoryError:
        answer = _FAILED + _text("out_of_memory", "The file needs more memory than an upload may use.")
    except Exception as error:
        answer = _FAILED + _text("failed", f"{type(error).__name__}: {error}")
    sender.send_bytes(answer)
    sender.close()


def _text(reason: str, message: str) -> bytes:
    return f"{reason}\n{message[:MESSAGE_CHARS]}".encode(errors="replace")


def _nothing() -> bytes:
    return str(os.getpid()).encode()
