"""The decision log: whatever happens to a line shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guard import Guard
from guard.errors import LogError
from guard.log import DecisionLog, Head, LogReport, head_path, read_head, verify_log
from service.cli.policy import app
from tests.guard.conftest import prompt

KEY = bytes(range(32))


@pytest.fixture
def path(tmp_path: Path, guard: Guard) -> Path:
    log = DecisionLog(tmp_path / "decisions.jsonl", KEY)
    for text in ("a cat", "press photo of Amy Klobuchar", "a dog", "a boat", "a hill"):
        log.append(guard.evaluate(prompt(text)))
    return tmp_path / "decisions.jsonl"


def edited(path: Path, edit: Callable[[list[str]], list[str]]) -> LogReport:
    path.write_text("".join(edit(path.read_text("utf-8").splitlines(keepends=True))), "utf-8")
    return verify_log(path, KEY)


def test_an_untouched_log_is_sound_and_holds_no_prompt(path: Path) -> None:
    assert verify_log(path, KEY) == LogReport(5, ())
    assert read_head(path).n == 5
    assert "Klobuchar" not in path.read_text("utf-8")


@pytest.mark.parametrize("line", range(5))
def test_a_deleted_line_is_found(path: Path, line: int) -> None:
    report = edited(path, lambda lines: lines[:line] + lines[line + 1 :])
    assert [problem.line for problem in report.problems] == [line + 1]


@pytest.mark.parametrize("line", range(5))
def test_a_changed_line_is_found(path: Path, line: int) -> None:
    def change(lines: list[str]) -> list[str]:
        row = json.loads(lines[line])
        row["decision"]["outcome"] = "review"
        return [
            *lines[:line],
            json.dumps(row, sort_keys=True, separators=(",", ":")) + "\n",
            *lines[line + 1 :],
        ]

    assert edited(path, change).problems[0].line == line + 1


@pytest.mark.parametrize("line", range(4))
def test_a_moved_line_is_found(path: Path, line: int) -> None:
    report = edited(path, lambda rows: [*rows[:line], rows[line + 1], rows[line], *rows[line + 2 :]])
    assert report.problems[0].line == line + 1


def test_a_repeated_line_and_nonsense_are_found(path: Path) -> None:
    assert edited(path, lambda lines: [*lines, lines[-1]]).problems[0].line == 6
    assert "not a line" in edited(path, lambda lines: [lines[0], "{}\n"]).problems[0].message


def test_lines_cut_off_at_the_end_are_found_also_with_their_head(path: Path) -> None:
    copied = read_head(path)
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    edited(path, lambda lines: lines[:3])
    head_path(path).write_text(json.dumps({"n": 3, "seal": rows[2]["seal"]}), "utf-8")
    assert verify_log(path, KEY).sound  # nothing in the folder tells
    assert not verify_log(path, KEY, head=copied).sound


def test_an_older_head_still_proves_the_log_up_to_it(path: Path, guard: Guard) -> None:
    copied = read_head(path)
    DecisionLog(path, KEY).append(guard.evaluate(prompt("more")))
    assert verify_log(path, KEY, head=copied).sound


def test_another_key_verifies_nothing(path: Path) -> None:
    assert len(verify_log(path, bytes(32)).problems) == 5


def test_a_line_cut_short_by_a_crash_is_dropped_and_writing_goes_on(path: Path, guard: Guard) -> None:
    with path.open("ab") as file:
        file.write(b'{"decision":{"format"')
    assert not verify_log(path, KEY).sound
    assert DecisionLog(path, KEY).append(guard.evaluate(prompt("more"))).n == 6
    assert verify_log(path, KEY) == LogReport(6, ())


def test_a_crash_between_line_and_head_loses_nothing(path: Path, guard: Guard) -> None:
    row = json.loads(path.read_text("utf-8").splitlines()[3])
    head_path(path).write_text(json.dumps({"n": 4, "seal": row["seal"]}), "utf-8")
    assert DecisionLog(path, KEY).append(guard.evaluate(prompt("more"))).n == 6
    assert verify_log(path, KEY).sound


def test_a_log_that_was_tampered_with_is_not_written_on(path: Path, guard: Guard) -> None:
    edited(path, lambda lines: lines[:-1])
    with pytest.raises(LogError, match="not what its head says"):
        DecisionLog(path, KEY).append(guard.evaluate(prompt("more")))


def test_what_cannot_be_used_is_an_error(path: Path, guard: Guard, tmp_path: Path) -> None:
    with pytest.raises(LogError, match="needs a key"):
        DecisionLog(path, b"")
    with pytest.raises(LogError, match="cannot be written"):
        DecisionLog(tmp_path / "none" / "log", KEY).append(guard.evaluate(prompt("x")))
    with pytest.raises(LogError, match="cannot be read"):
        verify_log(tmp_path / "none", KEY)
    head_path(path).write_text("{}", "utf-8")
    with pytest.raises(LogError, match="head of the decision log"):
        read_head(path)
    assert read_head(tmp_path / "new") == Head()


def test_several_writers_share_a_log(tmp_path: Path, guard: Guard) -> None:
    path = tmp_path / "shared.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: DecisionLog(path, KEY).append(guard.evaluate(prompt(f"cat {n}"))), range(40)))
    assert verify_log(path, KEY) == LogReport(40, ())


def test_the_command_verifies(path: Path, tmp_path: Path) -> None:
    def run(*more: str) -> int:
        arguments = ["log", "verify", str(path), "--key", str(tmp_path / "key"), *more]
        return int(CliRunner().invoke(app, arguments, standalone_mode=False).return_value)

    assert run() == 2
    (tmp_path / "key").write_bytes(KEY)
    assert run() == 0
    path.write_text(path.read_text("utf-8").replace("block", "allow"), "utf-8")
    assert run() == 1
    assert run("--json") == 1
