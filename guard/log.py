"""The decision log: one JSON line per decision, each sealed to the one before.

A line is `{"decision": ..., "log": 1, "n": N, "prev": SEAL, "seal": SEAL}`; its seal is the HMAC-SHA256,
under the log's key, of the canonical JSON (sorted keys, no spaces) of the line without the seal. A line
that is changed, left out or moved breaks the chain from there on. So that lines missing at the end show,
too, the last number and seal are kept in `FILE.head`, replaced atomically after each line; copied
elsewhere, it proves the whole log up to it.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from guard.decision import Decision
from guard.errors import LogError

LOG_FORMAT = 1
GENESIS = "0" * 64  # stands for the seal before the first line
MAX_LINE_BYTES = 1 << 20  # a decision with all its evidence has a few thousand
MAX_PROBLEMS = 100  # reported of a broken log; more say nothing new


@dataclass(frozen=True, slots=True)
class Head:
    """How far a log goes: the number of its last line, and that line's seal."""

    n: int = 0
    seal: str = GENESIS


@dataclass(frozen=True, slots=True)
class LogProblem:
    """What is wrong with one line (counted from 1) of a log."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class LogReport:
    """The result of verifying a log: how many lines it has, and every problem."""

    lines: int
    problems: tuple[LogProblem, ...]

    @property
    def sound(self) -> bool:
        """True where nothing was changed, left out or moved."""
        return not self.problems


class DecisionLog:
    """Appends to a log. Several processes may write to one file; a line is on disk before it counts."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Writes to `path`, sealing with `key` (32 random bytes, kept from those who can write the file)."""
        if not key:
            raise LogError("a decision log needs a key; without one, anybody could seal changed lines")
        self._path = path
        self._key = key

    def append(self, decision: Decision) -> Head:
        """Writes one decision and returns the new head.

        Raises `LogError` where the file is not what its head says, or cannot be written; nothing is lost
        then.
        """
        try:
            with self._locked() as file:
                head = self._recover(file)
                row = {"decision": decision.to_json(), "log": LOG_FORMAT, "n": head.n + 1, "prev": head.seal}
                seal = _seal(row, self._key)
                file.write(_canonical({**row, "seal": seal}) + b"\n")
                file.flush()
                os.fsync(file.fileno())
                return self._save_head(Head(head.n + 1, seal))
        except OSError as error:
            raise LogError(f"the decision log {self._path} cannot be written: {error.strerror}") from error

    @contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        with self._path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, also by a crash
            yield file

    def _recover(self, file: BinaryIO) -> Head:
        """Returns the head, after dropping the piece of a line that a killed writer left behind."""
        head = read_head(self._path)
        last = _last_line(file)
        if last is None and head == Head():
            return head
        row = parse_line(last or b"")
        if row and (row["n"], row["seal"]) == (head.n, head.seal):
            return head
        if row and row["n"] == head.n + 1 and row["prev"] == head.seal and _sealed(row, self._key):
            return self._save_head(Head(row["n"], row["seal"]))  # killed between the line and its head
        raise LogError(
            f"the decision log {self._path} is not what its head says; verify it before writing on"
        )

    def _save_head(self, head: Head) -> Head:
        temporary = head_path(self._path).with_suffix(".head.new")
        with temporary.open("wb") as file:
            file.write(_canonical({"n": head.n, "seal": head.seal}) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(head_path(self._path))
        return head


def head_path(path: Path) -> Path:
    """Returns where the head of the log at `path` is kept."""
    return path.with_suffix(path.suffix + ".head")


def read_head(path: Path) -> Head:
    """Returns the head of the log at `path`; a log without one is empty. Raises `LogError` on nonsense."""
    try:
        row = json.loads(head_path(path).read_bytes())
        return Head(int(row["n"]), str(row["seal"]))
    except FileNotFoundError:
        return Head()
    except (ValueError, KeyError, TypeError) as error:
        raise LogError(f"the head of the decision log {path} cannot be read: {error}") from error


def verify_log(path: Path, key: bytes, *, head: Head | None = None) -> LogReport:
    """Checks every line of the log at `path`; `head` is a copy kept elsewhere, its own head otherwise.

    Raises `LogError` where the file cannot be read.
    """
    problems: list[LogProblem] = []
    known = head or read_head(path)
    previous = Head()
    count = 0
    seen = known.n == 0
    try:
        with path.open("rb") as file:
            for count, line in enumerate(_lines(file), 1):
                row = parse_line(line)
                problems += [LogProblem(count, message) for message in _faults(row, previous, key)]
                previous = Head(row["n"], row["seal"]) if row else Head(count, "")
                seen = seen or previous == known
                if len(problems) >= MAX_PROBLEMS:
                    break
    except OSError as error:
        raise LogError(f"the decision log {path} cannot be read: {error.strerror}") from error
    if not seen and not problems:
        problems.append(
            LogProblem(count + 1, f"the log should go to line {known.n} and ends, or differs, before")
        )
    elif count > known.n and head is None and not problems:
        problems.append(LogProblem(known.n + 1, "lines were added after the last one that was acknowledged"))
    return LogReport(count, tuple(problems))


def _faults(row: dict[str, Any] | None, previous: Head, key: bytes) -> Iterator[str]:
    if row is None:
        yield "not a line of a decision log"
        return
    if not _sealed(row, key):
        yield "changed after it was written"
    if row["n"] != previous.n + 1:
        yield f"number {row['n']} follows {previous.n}: lines were left out or moved"
    elif row["prev"] != previous.seal:
        yield "does not follow from the line before it"


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE_BYTES):
        yield line


def _last_line(file: BinaryIO) -> bytes | None:
    """Returns the last whole line; what stands after it was never acknowledged, and is cut off."""
    end = file.seek(0, os.SEEK_END)
    start = max(0, end - 2 * MAX_LINE_BYTES)
    file.seek(start)
    tail = file.read(end - start)
    whole = tail.rfind(b"\n") + 1
    if whole < len(tail):
        file.truncate(start + whole)
    lines = tail[:whole].splitlines()
    return lines[-1] if lines else None


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Returns the row of a log's line, or None where it is none; its seal is not looked at."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    kinds = {"decision": dict, "log": int, "n": int, "prev": str, "seal": str}
    good = isinstance(row, dict) and row.keys() == kinds.keys()
    good = (
        good and all(isinstance(row[key], kind) for key, kind in kinds.items()) and row["log"] == LOG_FORMAT
    )
    return row if good else None


def _sealed(row: dict[str, Any], key: bytes) -> bool:
    body = {name: value for name, value in row.items() if name != "seal"}
    return hmac.compare_digest(_seal(body, key), row["seal"])


def _seal(body: dict[str, Any], key: bytes) -> str:
    return hmac.new(key, _canonical(body), hashlib.sha256).hexdigest()


def _canonical(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
