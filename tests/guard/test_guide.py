"""The guide for policy authors: its policies load and pass their tests, its commands say what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guard import load_policy
from guard.language import policy_json_schema
from guard.reasons import REASONS
from guard.testing import run_tests
from service.cli.policy import app
from tests.guard.conftest import guard_of

GUIDE = (Path(__file__).parents[2] / "docs/guide/policies.md").read_text("utf-8")
POLICIES = dict(re.findall(r"```yaml file=(\S+)\n(.*?)```", GUIDE, re.DOTALL))
CONSOLES = re.findall(r"```console(?: edit=(\S+))?\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in POLICIES.items():
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "decisions.log").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_loads_and_passes_its_tests(folder: Path, name: str) -> None:
    policy = load_policy(folder / name)
    assert run_tests(policy, guard_of(policy)).failures == ()


@pytest.mark.parametrize(("edit", "text"), CONSOLES)
def test_every_command_says_what_the_guide_says(folder: Path, edit: str, text: str) -> None:
    if edit:
        file, good, bad = edit.split(":")
        (folder / file).write_text((folder / file).read_text("utf-8").replace(good, bad), "utf-8")
    for part in text.split("$ ")[1:]:
        command, *expected = part.strip().splitlines()
        words = shlex.split(command)
        assert words[:2] == ["assay", "policy"]
        result = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(
            app, words[2:], standalone_mode=False
        )
        assert result.exception is None
        plain = squeeze(result.output)
        assert [line for line in expected if squeeze(line) not in plain] == []


def squeeze(text: str) -> str:
    """Text with every run of blanks and frames as one blank."""
    return " ".join(re.sub(r"[│├└─╭╮╰╯]", " ", text).split())


def test_every_other_block_is_run_or_no_example() -> None:
    kinds = re.findall(r"^```(\w*)", GUIDE, re.MULTILINE)
    assert set(kinds) <= {"", "yaml", "console"}
    plain = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    assert all(block.startswith("# yaml-language-server") for block in plain)


def test_the_guide_names_every_key_and_reason() -> None:
    schema = str(policy_json_schema())
    keys = set(re.findall(r"'([a-z_]+)': \{[^{}]*'description'", schema)) | {"all", "any", "extends"}
    assert sorted(key for key in keys if not re.search(rf"`{key}\b|[ {{]{key}:", GUIDE)) == []
    assert [code for code in REASONS if not code.startswith("GUARD.") and f"`{code}`" not in GUIDE] == []
