"""`assay policy bench`: shares, limits, and files that are no texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guard import Guard, parse_policy
from guard.measure import TextsError, measure, read_texts
from service.cli.policy import app
from tests.guard.conftest import NOW

POLICY = """
policy: test.bench
version: 1.0.0
unchecked_stages: [reference, adapter, output]
lists:
  fire: {kind: words, items: [fire]}
  smoke: {kind: words, items: [smoke]}
rules:
  - id: fire
    title: Fire
    stage: prompt
    severity: high
    mode: enforce
    when: {words: fire}
    then: block
    reason: CUSTOM.FIRE
    tell_user: {en: No.}
    tests: [{block: a fire}, {allow: a lake}]
  - id: smoke
    title: Smoke
    stage: prompt
    severity: low
    when: {words: smoke}
    then: flag
    reason: CUSTOM.SMOKE
    tell_user: {en: No.}
    tests: [{flag: smoke}, {allow: a lake}]
"""
CALM, HOT = "a lake\na fire\nsmoke\na boat\n", "fire, fire\na cold fire\nwater\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "p.yaml").write_text(POLICY)
    (tmp_path / "calm.txt").write_text(CALM)
    (tmp_path / "hot.jsonl").write_text("".join(json.dumps({"prompt": t}) + "\n" for t in HOT.splitlines()))
    return tmp_path


def test_what_is_stopped_is_counted_by_rule(folder: Path) -> None:
    guard = Guard(parse_policy(POLICY), faces=None, consents=None, clock=lambda: NOW)
    found = measure(guard, read_texts(folder / "calm.txt"))
    assert (found.texts, found.stopped, found.stopped_texts) == (4, 1, ("a fire",))
    assert (found.by_rule, found.by_shadow_rule) == ({"fire": 1}, {"smoke": 1})
    low, high = found.interval
    assert (round(low, 3), round(high, 3)) == (0.046, 0.699)  # Wilson 1927, 1 of 4
    assert 0 < found.p50 <= found.p99
    assert measure(guard, read_texts(folder / "hot.jsonl")).passed_texts == ("water",)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ([], 0),
        (["--wrong-at-most", "25", "--seen-at-least", "66"], 0),
        (["--wrong-at-most", "24"], 1),
        (["--seen-at-least", "67"], 1),
    ],
)
def test_limits_decide_the_exit_code(folder: Path, limits: list[str], code: int) -> None:
    files = ["--allow", str(folder / "calm.txt"), "--block", str(folder / "hot.jsonl")]
    command = ["bench", str(folder / "p.yaml"), *files, *limits]
    result = CliRunner().invoke(app, command, standalone_mode=False)
    assert result.return_value == code
    assert "1 of 4 stopped, 25.00%" in result.output
    assert ("outside the limit" in result.output) == bool(code)
    rows = CliRunner().invoke(app, [*command, "--json"], standalone_mode=False).output.splitlines()
    assert [json.loads(row)["stopped"] for row in rows] == [1, 2]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.txt", None, "cannot be read"),
        ("empty.txt", b" \n\n", "has 0 texts"),
        ("bytes.txt", b"\xff\xfe\x00", "cannot be read"),
        ("bad.jsonl", b'{"prompt": "a"}\n{', "bad.jsonl:2: not a JSON line"),
        ("other.jsonl", b'{"title": "a"}', 'expected {"prompt"'),
        ("list.jsonl", b"[1]", 'expected {"prompt"'),
        ("number.jsonl", b'{"text": 3}', 'expected {"prompt"'),
    ],
)
def test_files_that_are_no_texts_say_why(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TextsError, match=message):
        read_texts(tmp_path / name)


def test_without_texts_the_command_says_what_to_give(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = CliRunner().invoke(app, ["bench", str(folder / "p.yaml")], standalone_mode=False)
    assert result.return_value == 2
    assert "--allow FILE" in result.output + result.stderr
