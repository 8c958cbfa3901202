"""How often a policy stops texts of one kind, and how long it takes: for sets that an operator brings."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import binomtest

from guard.engine import Guard
from guard.errors import GuardError
from guard.model import Stage
from guard.request import GuardRequest, Text

MAX_TEXTS = 1_000_000
_SHOWN = 8  # texts that went the other way, as examples
_TEXT_KEYS = ("prompt", "text")


class TextsError(GuardError):
    """A file of texts cannot be used."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a policy did with `texts` texts, of which it stopped (blocked or reviewed) `stopped`.

    `by_rule` counts enforced findings, `by_shadow_rule` those of rules that only watch; `stopped_texts` and
    `passed_texts` are some of each; `p50` and `p99` are seconds of processor time for one text.
    """

    texts: int
    stopped: int
    by_rule: Mapping[str, int]
    by_shadow_rule: Mapping[str, int]
    stopped_texts: tuple[str, ...]
    passed_texts: tuple[str, ...]
    p50: float
    p99: float

    @property
    def share(self) -> float:
        """The share that was stopped."""
        return self.stopped / self.texts

    @property
    def interval(self) -> tuple[float, float]:
        """The Wilson interval of 95 % of the share."""
        found = binomtest(self.stopped, self.texts).proportion_ci(method="wilson")
        return float(found.low), float(found.high)


def read_texts(path: Path) -> list[str]:
    """Returns the texts of a file: one in each line, or in a .jsonl file the value of `prompt` or `text`.

    Raises `TextsError` where the file cannot be read, has no texts, or a line is no such object.
    """
    try:
        lines = [line for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise TextsError(f"{path} cannot be read as UTF-8 text: {error}") from error
    if not 0 < len(lines) <= MAX_TEXTS:
        raise TextsError(f"{path} has {len(lines):,} texts; between 1 and {MAX_TEXTS:,} can be measured")
    if path.suffix != ".jsonl":
        return lines
    return [_text_of(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]


def _text_of(line: str, where: str) -> str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TextsError(f"{where}: not a JSON line: {error}") from error
    found = [row[key] for key in _TEXT_KEYS if key in row] if isinstance(row, dict) else []
    if not found or not isinstance(found[0], str):
        raise TextsError(f'{where}: expected {{"prompt": "..."}}')
    return found[0]


def measure(guard: Guard, texts: Iterable[str]) -> Measured:
    """Judges `texts`, at least one, as prompts; nothing is recorded."""
    guard = guard.silent()
    rules: Counter[str] = Counter()
    shadow: Counter[str] = Counter()
    stopped: list[str] = []
    passed: list[str] = []
    times: list[float] = []
    for text in texts:
        request = GuardRequest(Stage.PROMPT, (Text("prompt", text),))
        started = time.thread_time()
        decision = guard.evaluate(request)
        times.append(time.thread_time() - started)
        rules.update({finding.rule_id for finding in decision.findings})
        shadow.update({finding.rule_id for finding in decision.shadow})
        (passed if decision.allowed else stopped).append(text)
    if not times:
        raise TextsError("there are no texts to measure")
    times.sort()
    return Measured(
        len(times), len(stopped), rules, shadow, tuple(stopped[:_SHOWN]), tuple(passed[:_SHOWN]),
        times[len(times) // 2], times[min(len(times) - 1, int(0.99 * len(times)))],
    )  # fmt: skip
