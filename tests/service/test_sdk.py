"""Every call of the `openai` SDK, by the version that is installed and by an older one where it is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.server import Server

OLD_SDK = Path(os.environ.get("OPENAI_2_54", ".venv/openai-2.54"))
"""`pip install --no-deps --target .venv/openai-2.54 openai==2.54.0 distro sniffio`, as .ci/run does."""


def walk(server: Server, environ: dict[str, str]) -> str:
    command = [sys.executable, "-m", "bench.service.sdk", server.url]
    done = subprocess.run(
        command, env={**os.environ, **environ}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_call_of_the_installed_sdk(server: Server) -> None:
    assert "openai 3." in walk(server, {}).splitlines()[-1]


def test_every_call_of_the_sdk_of_a_year_ago(server: Server) -> None:
    if not OLD_SDK.is_dir():
        pytest.skip(f"no {OLD_SDK}: pip install --no-deps --target {OLD_SDK} openai==2.54.0 distro sniffio")
    assert "openai 2.54.0" in walk(server, {"PYTHONPATH": str(OLD_SDK)}).splitlines()[-1]
