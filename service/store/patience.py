"""Writes that must not be lost because the database was away for a moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

log = logging.getLogger(__name__)

T = TypeVar("T")
AWAY = (OperationalError, InterfaceError, InternalError)
"""The connection ended, the server is starting or stopping, the file is locked, a deadlock was resolved."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0


def patiently(call: Callable[[], T], *, sleep: Callable[[float], object] = time.sleep) -> T:
    """Repeat `call` until the database answers.

    A connection that ends during COMMIT leaves open whether it took place, so `call` must be one that may
    be repeated after it succeeded.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return call()
        except AWAY as error:
            log.warning("the database does not answer; trying again in %.2g s: %s", pause, error.orig)
            sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
