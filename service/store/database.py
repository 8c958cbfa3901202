"""Opening the database: connection settings, transactions, and the schema brought up to date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from service.errors import ConfigurationError

SQLITE_BUSY_SECONDS = 10
"""How long a writer waits for another one: transactions here last milliseconds."""
MIGRATION_LOCK = 0x41_53_53_41_59
"""PostgreSQL advisory lock, so that two starting processes do not both migrate."""
_WRITES = "assay_writes"


class Database:
    """One engine with two kinds of transaction.

    SQLite upgrades a reading transaction to a writing one only if nobody wrote in between, so a
    writer says so at `BEGIN` and queues up; readers never wait (WAL).
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction, committed when the block ends and rolled back when it raises."""
        with self.engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
            yield connection

    def migrate(self) -> None:
        """Create the schema or bring it up to date; safe when several processes start at once."""
        with as_file(files("service.store") / "migrations") as folder, self.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            config = Config()
            config.set_main_option("script_location", str(folder).replace("%", "%%"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def ping(self) -> None:
        """Raise `sqlalchemy.exc.DBAPIError` when the database does not answer."""
        with self.reading() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        self.engine.dispose()


def open_database(url: str) -> Database:
    """Connect and migrate. Raises `ConfigurationError` when the database cannot be used."""
    try:
        database = Database(url)
        database.migrate()
    except (DBAPIError, ArgumentError, ImportError) as error:
        shown = url if "@" not in url else make_url(url).render_as_string(hide_password=True)
        raise ConfigurationError(f"database {shown}: {error}; check ASSAY_DATABASE_URL") from error
    return database


def _engine(url: str) -> Engine:
    address = make_url(url)
    if address.get_backend_name() == "postgresql":
        return create_engine(address.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    if address.get_backend_name() != "sqlite":
        raise ConfigurationError(f"database {address.drivername}: use sqlite or postgresql")
    engine = create_engine(address, connect_args={"timeout": SQLITE_BUSY_SECONDS})
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver must not open transactions of its own
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
