"""A PostgreSQL server of our own on loopback, in a folder that goes away."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgres_binaries() -> Path | None:
    """Folder of `initdb` and `postgres`, where the server is installed (Debian keeps it off the PATH)."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)


@contextmanager
def postgres_server(binaries: Path, *, durable: bool) -> Iterator[str]:
    """The URL of a fresh server. `durable`: commits reach the disk, as in production."""
    user = "nobody" if os.geteuid() == 0 else None  # the server refuses to run as root
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as name:
        data, port = Path(name) / "data", free_port()
        data.mkdir()
        if user:
            shutil.chown(name, user)
            shutil.chown(data, user)
        init: list[str | Path] = [binaries / "initdb", "-D", data, "-U", "assay", "-A", "trust", "-N"]
        init += ["-E", "UTF8", "--locale=C"]
        subprocess.run(init, user=user, check=True, capture_output=True, cwd=name)
        options = [
            "-p",
            str(port),
            "-h",
            "127.0.0.1",
            "-k",
            name,
            "-c",
            f"fsync={'on' if durable else 'off'}",
        ]
        with subprocess.Popen(
            [binaries / "postgres", "-D", data, *options], user=user, cwd=name, stderr=subprocess.DEVNULL
        ) as server:
            try:
                url = f"postgresql://assay@127.0.0.1:{port}/postgres"
                _wait(url, server)
                yield url
            finally:
                server.terminate()


def fresh_schema(url: str) -> str:
    """The URL of a new, empty schema in a PostgreSQL database."""
    name = f"t{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    return f"{url}?options=-csearch_path%3D{name}"


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            psycopg.connect(url, connect_timeout=1).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise RuntimeError(f"the PostgreSQL server ended with {server.returncode}")
