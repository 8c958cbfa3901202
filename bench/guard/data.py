"""The prompts that the guard is measured on, split by hash: one half to tune on, one half to measure on."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

BENIGN = ("benign_coco_captions_5k", "benign_partiprompts", "benign_vbench_en_zh")
PEOPLE = "names_us_officials_gazetteer"
_Z = 1.959964  # of a normal distribution, two-sided 95 %


def held_out(text: str) -> bool:
    """True for the half that nothing is tuned on; the same half whatever else is in a set."""
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 1


def rows_of(folder: Path, name: str) -> list[dict[str, Any]]:
    """Returns the rows of the set `name` in `folder`; raises `OSError` where it is not there."""
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]


def benign_texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Yields language and text of every benign prompt."""
    for name in BENIGN:
        for row in rows_of(folder, name):
            yield str(row.get("lang", "en")), str(row["prompt"])


@dataclass(frozen=True)
class Share:
    """`count` of `total`, with the Wilson interval of 95 % (Wilson 1927)."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """The share; 0 of nothing is 0."""
        return self.count / self.total if self.total else 0.0

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return max(0.0, self._middle() - self._half_width())

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return min(1.0, self._middle() + self._half_width()) if self.total else 1.0

    def _middle(self) -> float:
        n = max(self.total, 1)
        return (self.value + _Z**2 / (2 * n)) / (1 + _Z**2 / n)

    def _half_width(self) -> float:
        n = max(self.total, 1)
        spread = self.value * (1 - self.value) / n + _Z**2 / (4 * n * n)
        return _Z * sqrt(spread) / (1 + _Z**2 / n)

    def to_json(self) -> Mapping[str, float]:
        """Returns count, total, share and interval."""
        return {
            "count": self.count, "total": self.total, "share": self.value, "low": self.low, "high": self.high
        }  # fmt: skip

    def __str__(self) -> str:
        return f"{self.value:.2%} [{self.low:.1%}, {self.high:.1%}]"
