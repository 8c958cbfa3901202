"""The README's commands run, in order, as they stand; its links lead somewhere."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
NOT_HERE = ("make demo", "make test", "assay serve")  # continuous integration, and tests/service


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = (line.split("#")[0].strip() for block in blocks for line in block.splitlines())
    return [line for line in lines if line and not line.startswith("export ")]


def test_every_link_leads_to_a_file() -> None:
    paths = re.findall(r"\]\(([^)#]+)\)|`([a-z]+/[\w./-]+\.\w+)`", README)
    missing = [path for pair in paths for path in pair if path and not (ROOT / path).exists()]
    assert [path for path in missing if not path.startswith("demo/report")] == []


@pytest.mark.slow
def test_every_command_runs(tmp_path: Path) -> None:
    Image.fromarray(skimage.data.coffee()).save(tmp_path / "photo.png")
    environment = {
        **os.environ,
        "ASSAY_HOME": str(tmp_path / "home"),
        "ASSAY_SECONDS": "0.4",
        "ASSAY_STEPS": "4",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    ran = []
    for line in commands():
        if line.startswith(NOT_HERE):
            continue
        done = subprocess.run(
            shlex.split(line), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == expected_exit(line), f"{line}\n{done.stdout}\n{done.stderr}"
        ran.append(line)
    assert len(ran) >= 7


def expected_exit(line: str) -> int:
    return 1 if line.startswith("assay policy try") else 0
