"""Schemathesis against a service of its own: requests generated from our OpenAPI document, every
answer checked against it. The stub's worker makes the jobs, so that a picture takes a moment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench.service.postgres import free_port
from service.keys import create_keys

CONFIG = Path(__file__).with_name("schemathesis.toml")
START_SECONDS = 600.0
_COUNTS = re.compile(r"Test cases:\s+([\d,]+) generated(?:, ([\d,]+) found)?")


def run(home: Path, *, cases: int, examples: int, seed: int = 1) -> dict[str, object]:
    """Run with one seed after the other until `cases` were generated.

    Raises `RuntimeError` where `st` is not installed or does not say how many cases there were.
    """
    tool = shutil.which(os.environ.get("SCHEMATHESIS", "st"))
    if tool is None:
        raise RuntimeError("no st: pip install schemathesis into another environment, set SCHEMATHESIS to it")
    done, failed, seeds, log = 0, 0, 0, home / "schemathesis.log"
    with serving(home) as url:
        while done < cases:
            output = _round(tool, url, examples, seed + seeds)
            log.open("a").write(output)
            counts = _COUNTS.search(output)
            if counts is None:
                raise RuntimeError(f"st gave no count of its cases:\n{output[-3000:]}")
            done += _number(counts[1])
            failed += _number(counts[2])
            seeds += 1
    return {"cases": done, "failures": failed, "seeds": seeds, "examples": examples}


def _round(tool: str, url: str, examples: int, seed: int) -> str:
    command = [tool, "--config-file", str(CONFIG), "run", f"{url}/openapi.json", "--checks", "all"]
    command += ["--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure"]
    command += ["--suppress-health-check", "all", "--request-timeout", "120", "--max-response-time", "600"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _number(text: str | None) -> int:
    return int((text or "0").replace(",", ""))


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """The service with the stub's worker on a free port; yields its address."""
    create_keys(home / "keys", now=datetime.now(UTC))
    port = free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    environ = {**clean, "ASSAY_HOME": str(home), "ASSAY_PORT": str(port), "ASSAY_POLL_SECONDS": "0.05"}
    command = [sys.executable, "-m", "bench.service.stub", "serve"]
    with (
        (home / "serve.log").open("wb") as log,
        subprocess.Popen(command, env=environ, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            yield _ready(f"http://127.0.0.1:{port}", home / "serve.log")
        finally:
            process.terminate()


def _ready(url: str, log: Path) -> str:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url}/openapi.json", timeout=60) as answer:
                answer.read()  # made once and kept: `st` waits ten seconds for it
                return url
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"the service did not start:\n{log.read_text()[-3000:]}")
