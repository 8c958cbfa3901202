"""A fresh data folder and a service on loopback, for the length of one ``with`` block."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

START_SECONDS = 120  # importing torch and loading the model on a cold disk


@dataclass(frozen=True)
class House:
    """A running service.

    ``url`` ends without a slash; ``environment`` lets commands see the same data folder, ``home``.
    """

    url: str
    home: Path
    environment: dict[str, str]

    def assay(self, *arguments: str) -> str:
        """Run the command line in this data folder and return its standard output."""
        command = [str(Path(sys.executable).with_name("assay")), *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout


def free_port() -> int:
    """A port that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_house(home: Path) -> Iterator[House]:
    """Empty ``home``, make keys, start ``assay serve`` and wait until it answers; end it afterwards."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    port = free_port()
    environment = {**os.environ, "ASSAY_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    house = House(f"http://127.0.0.1:{port}", home, environment)
    house.assay("keys", "init")
    with (home / "serve.log").open("wb") as log:
        command = [
            str(Path(sys.executable).with_name("assay")),
            "serve",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until_ready(house, process)
            yield house
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def wait_until_ready(house: House, process: subprocess.Popen[bytes]) -> None:
    """Return when the service answers its readiness probe; raise with its log when it does not."""
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(base_url=house.url, timeout=5) as client:
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(httpx.TransportError):
                if client.get("/readyz").is_success:
                    return
            time.sleep(0.25)
    raise RuntimeError(f"the service did not start:\n{(house.home / 'serve.log').read_text()[-4000:]}")
