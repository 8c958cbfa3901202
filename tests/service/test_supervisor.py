"""Workers are replaced when they die, told to stop when we stop, and not started when they cannot run."""

import os
import subprocess
import sys
import time
from pathlib import Path

from service.supervisor import EXIT_CONFIGURATION, Supervisor, worker_name
from tests.service.waiting import until


def supervisor(code: str, deaths: list[bool], stop_seconds: float = 20) -> Supervisor:
    """Notes for each worker that ended whether it had been told to."""
    return Supervisor(
        1,
        environ={},
        on_death=lambda name, told: deaths.append(told),
        clock=time.monotonic,
        command=(sys.executable, "-c", code),
        stop_seconds=stop_seconds,
    )


def test_a_dead_worker_is_reported_and_replaced() -> None:
    deaths: list[bool] = []
    with supervisor("import time; time.sleep(1000)", deaths) as keeper:
        until(lambda: keeper.pids)
        (first,) = keeper.pids
        os.kill(first, 9)
        until(lambda: keeper.pids and keeper.pids != [first])
        assert deaths == [False]
    assert deaths == [False, True]
    assert keeper.pids == []


def test_a_worker_that_does_not_end_when_told_is_ended_and_reported() -> None:
    deaths: list[bool] = []
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"
    with supervisor(code, deaths, stop_seconds=0.5) as keeper:
        until(lambda: keeper.pids)
        time.sleep(1.0)  # until it ignores the signal
    assert deaths == [True]
    assert keeper.pids == []


def test_a_worker_that_cannot_run_as_configured_is_not_started_again() -> None:
    deaths: list[bool] = []
    with supervisor(f"raise SystemExit({EXIT_CONFIGURATION})", deaths):
        until(lambda: deaths)
        time.sleep(1.2)  # longer than the first pause
        assert len(deaths) == 1


def test_a_worker_learns_that_its_parent_is_gone(tmp_path: Path) -> None:
    """Its standard input ends, whichever way the parent ends."""
    code = "import sys; sys.stdin.buffer.read(); open(sys.argv[1], 'w').close()"
    parent = (
        "import subprocess, sys, time\n"
        f"command = [sys.executable, '-c', {code!r}, {str(tmp_path / 'gone')!r}]\n"
        "subprocess.Popen(command, stdin=subprocess.PIPE)\n"
        "import os; os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", parent], check=False)
    until((tmp_path / "gone").exists)


def test_a_report_that_fails_stops_nobody() -> None:
    def fail(name: str, told: bool) -> None:
        raise RuntimeError(name)

    keeper = Supervisor(
        1, environ={}, on_death=fail, clock=time.monotonic, command=(sys.executable, "-c", "pass")
    )
    with keeper:
        time.sleep(0.3)


def test_names_are_unique() -> None:
    assert worker_name() != worker_name()
