"""The collector rests while a process starts, and comes back when it has."""

import subprocess
import sys

from service.startup import STARTING
from service.supervisor import WORKER

SHOW = "import gc; print(gc.get_threshold()[0], gc.get_freeze_count() > 0)"


def shown(code: str) -> list[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()


def test_the_collector_rests_and_comes_back() -> None:
    start = "from service.startup import started, starting; starting(); "
    assert shown(start + SHOW) == [str(STARTING), "False"]
    assert shown(f"{start} started(); {SHOW}") == [*shown(SHOW)[:1], "True"]


def test_nothing_is_sorted_at_the_end() -> None:
    last = f"import atexit; atexit.register(lambda: exec({SHOW!r})); "
    assert shown(f"{last} from service.startup import starting; starting()") == [str(STARTING), "True"]


def test_a_worker_starts_with_it_resting() -> None:
    assert WORKER[-1].startswith("from service.startup import starting; starting(); from service.worker")
