"""A real service in processes of its own, for the length of one `with` block."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
from openai import OpenAI

from bench.service.postgres import free_port
from service.keys import create_keys

START_SECONDS = 300.0
SMALL = {
    "ASSAY_SECONDS": "0.4",
    "ASSAY_STEPS": "2",
    "ASSAY_LEASE_SECONDS": "3",
    "ASSAY_HEARTBEAT_SECONDS": "0.2",
    "ASSAY_POLL_SECONDS": "0.1",
}
"""The smallest clip that the embedded system makes, and leases that run out while a test waits."""


@dataclass
class Server:
    """A service on loopback. `changes` are settings on top of `SMALL`."""

    home: Path
    changes: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
        return {**clean, "OMP_NUM_THREADS": "1", "ASSAY_HOME": str(self.home), **SMALL, **self.changes}

    @property
    def log(self) -> str:
        return (self.home / "serve.log").read_text(errors="replace")

    def openai(self, key: str = "unused", retries: int = 0) -> OpenAI:
        return OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=retries)

    def start(self, *, until: str = "/readyz") -> None:
        """Start the process and wait until `until` answers 200."""
        command = [sys.executable, "-m", "service.cli", "serve", "--port", str(self.port)]
        with (self.home / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environ, stdout=log, stderr=subprocess.STDOUT)
        end, answer = time.monotonic() + START_SECONDS, "no answer"
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while time.monotonic() < end and self.process.poll() is None:
                try:
                    ready = client.get(until)
                    if ready.is_success:
                        return
                    answer = ready.text
                except httpx.TransportError as error:
                    answer = repr(error)
                time.sleep(0.1)
        raise RuntimeError(f"the service did not start: {answer}\n{self.log[-4000:]}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        return self.process.wait(60)

    def workers(self) -> list[int]:
        """Process ids of the live workers."""
        if self.process is None:
            return []
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid), "-f", "service.worker"],
            capture_output=True,
            text=True,
            check=False,
        )
        return [int(line) for line in found.stdout.split()]


@contextmanager
def running(home: Path, changes: dict[str, str] | None = None, *, until: str = "/readyz") -> Iterator[Server]:
    """A server with fresh keys in `home`."""
    create_keys(home / "keys", now=datetime.now(UTC))
    server = Server(home, changes or {})
    try:
        server.start(until=until)
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()
