"""Tells idle workers that there is a job: LISTEN/NOTIFY on PostgreSQL, a short wait on SQLite."""

from __future__ import annotations

import logging
import threading
import time

import psycopg
from sqlalchemy import Connection, make_url, text

log = logging.getLogger(__name__)

CHANNEL = "assay_jobs"


def notify(connection: Connection) -> None:
    """Wake the idle workers when the transaction commits."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"NOTIFY {CHANNEL}"))


class Signals:
    """Waits for `notify` of any process. Without PostgreSQL, or while it is away, it waits the whole time."""

    def __init__(self, url: str) -> None:
        address = make_url(url)
        is_postgres = address.get_backend_name() == "postgresql"
        self._address = (
            address.set(drivername="postgresql").render_as_string(hide_password=False) if is_postgres else ""
        )
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Return after `seconds`, or earlier when there may be a job or `stop` is set."""
        if not self._address:
            stop.wait(seconds)
            return
        started = time.monotonic()
        try:
            for _ in self._listening().notifies(timeout=seconds, stop_after=1):
                pass
        except psycopg.Error:
            log.warning("cannot listen for jobs; looking for them every %g s instead", seconds)
            self.close()
            stop.wait(max(0.0, seconds - (time.monotonic() - started)))

    def close(self) -> None:
        """Stop listening."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _listening(self) -> psycopg.Connection[tuple[object, ...]]:
        if self._connection is None:
            self._connection = psycopg.connect(self._address, autocommit=True, connect_timeout=5)
            self._connection.execute(f"LISTEN {CHANNEL}")
        return self._connection
