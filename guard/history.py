"""Decisions read back from a log, for explanations, replays and reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from guard.errors import LogError
from guard.log import MAX_LINE_BYTES, parse_line
from guard.model import Outcome, Stage


@dataclass(frozen=True, slots=True)
class Past:
    """A decision of a log. `record` is all of it, as `Decision.to_json` wrote it."""

    id: str
    at: datetime
    stage: Stage
    tenant: str
    policy: str
    outcome: Outcome
    record: dict[str, Any]

    @property
    def findings(self) -> list[dict[str, Any]]:
        """The enforced rules that fired, gravest first."""
        return list(self.record.get("findings", []))

    @property
    def reason(self) -> str:
        """The reason of the gravest finding, or ""."""
        return str(self.findings[0]["reason"]) if self.findings else ""


def read_log(path: Path) -> Iterator[Past]:
    """Yields the decisions of the log at `path`, oldest first; whether it is whole says `verify_log`.

    Raises `LogError` where the file cannot be read or has a line that is no decision.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), 1):
                row = parse_line(line)
                if row is None:
                    raise LogError(f"{path}:{number}: not a line of a decision log")
                yield _past(row["decision"], f"{path}:{number}")
    except OSError as error:
        raise LogError(f"the decision log {path} cannot be read: {error.strerror}") from error


def _past(record: dict[str, Any], where: str) -> Past:
    try:
        return Past(
            id=record["decision_id"],
            at=datetime.fromisoformat(record["at"]),
            stage=Stage(record["stage"]),
            tenant=record["tenant"],
            policy=record["policy"],
            outcome=Outcome(record["outcome"]),
            record=record,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise LogError(f"{where}: not a decision: {json.dumps(record)[:80]}") from error
