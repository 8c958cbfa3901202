"""Encoders that raise their own priority are lowered again.

SVT-AV1 makes its threads, and the thread that opens it, realtime (SCHED_FIFO, 99) wherever the process may,
as a process of root may. Whatever is started from there inherits that, and one busy loop then keeps
everything else on the machine from running.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_THREADS = "/proc/self/task"


@contextmanager
def usual_priority() -> Iterator[None]:
    """Threads that start in this block, and the calling one, leave it with the scheduling it began with."""
    if sys.platform != "linux":
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    before = set(os.listdir(_THREADS))
    try:
        yield
    finally:
        started = set(os.listdir(_THREADS)) - before
        for thread in (threading.get_native_id(), *map(int, started)):
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.sched_setscheduler(thread, policy, parameters)
