"""How long it takes to refuse hostile adapter files, and whether any of them runs code."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.guard.hostile import HOSTILE
from guard import AdapterError, read_adapter

LIMIT_MS = 100.0
_RUNS = 5


@dataclass(frozen=True)
class Refusal:
    """One file: the reason, and the median time of a refusal (processor time of one thread)."""

    file: str
    reason: str
    milliseconds: float

    @property
    def kept(self) -> bool:
        """True where it was refused, in time."""
        return bool(self.reason) and self.milliseconds < LIMIT_MS


def measure(progress: Callable[[str], None]) -> list[Refusal]:
    """Returns what became of every file of `HOSTILE`; raises where one of them was unpickled."""
    rows = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "style.safetensors"
        for name, (content, _) in HOSTILE.items():
            progress(name)
            path.write_bytes(content)
            rows.append(Refusal(name, *_refused(path)))
    if Path("executed").exists():
        raise RuntimeError("an adapter file ran code")
    return rows


def _refused(path: Path) -> tuple[str, float]:
    times, reason = [], ""
    for _ in range(_RUNS):
        started = time.thread_time()
        try:
            read_adapter(path)
        except AdapterError as error:
            reason = str(error)
        times.append(time.thread_time() - started)
    return reason, sorted(times)[_RUNS // 2] * 1e3
