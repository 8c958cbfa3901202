"""One file, one limited process: what a hostile file can and cannot do to us."""

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from service.errors import IsolationError
from service.isolate import Isolator, RefusedError
from service.sandbox import ProcessLimits, can_deny_network, deny_network

MIB = 2**20


def echo(data: bytes) -> bytes:
    return data


def threads() -> bytes:
    return os.environ["OPENBLAS_NUM_THREADS"].encode()


def refuse() -> bytes:
    raise RefusedError("too_odd", "This file is odd.\nVery.")


def raise_error() -> bytes:
    raise ZeroDivisionError("x" * 10_000)


def fill_memory() -> bytes:
    return bytes(2**33)


def spin() -> bytes:
    while True:
        pass


def sleep_for_ever() -> bytes:
    time.sleep(1000)
    return b""


def die() -> bytes:
    os._exit(3)


def open_socket() -> bytes:
    socket.socket()
    return b"open"


def start_program() -> bytes:
    subprocess.run(["/bin/true"], check=True)
    return b"started"


def fill_disk(path: Path) -> bytes:
    with path.open("wb") as file:
        for _ in range(200):
            file.write(bytes(MIB))
    return b"filled"


def process_id() -> bytes:
    return str(os.getpid()).encode()


@pytest.fixture(scope="module")
def isolator() -> Isolator:
    return Isolator(ProcessLimits(seconds=30, memory=256 * MIB, answer_bytes=MIB))


def test_the_answer_comes_back_as_it_is(isolator: Isolator) -> None:
    data = bytes(range(256)) * 100
    assert isolator.run(echo, data) == data
    isolator.warm()


def test_matrices_are_multiplied_with_one_thread(isolator: Isolator) -> None:
    assert isolator.run(threads) == os.environ["OPENBLAS_NUM_THREADS"].encode() == b"1"


def test_every_file_gets_a_process_of_its_own(isolator: Isolator) -> None:
    answers = {isolator.run(process_id) for _ in range(3)} | {str(os.getpid()).encode()}
    assert len(answers) == 4


def test_a_refusal_crosses_the_border_with_its_reason(isolator: Isolator) -> None:
    with pytest.raises(RefusedError, match="This file is odd") as caught:
        isolator.run(refuse)
    assert caught.value.reason == "too_odd"


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (raise_error, "failed"),
        (fill_memory, "out_of_memory"),
        (die, "crashed"),
    ],
)
def test_what_goes_wrong_inside_is_named_and_ends(isolator: Isolator, task: object, reason: str) -> None:
    with pytest.raises(IsolationError) as caught:
        isolator.run(task)  # type: ignore[arg-type]
    assert caught.value.reason == reason
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("task", [spin, sleep_for_ever])
def test_what_takes_too_long_is_ended(task: object) -> None:
    with pytest.raises(IsolationError) as caught:
        Isolator(ProcessLimits(seconds=1, memory=256 * MIB)).run(task)  # type: ignore[arg-type]
    assert caught.value.reason == "timeout"


def test_an_endless_answer_is_cut_off(isolator: Isolator) -> None:
    with pytest.raises(IsolationError) as caught:
        isolator.run(echo, bytes(2 * MIB))
    assert caught.value.reason == "crashed"


def test_the_disk_cannot_be_filled(isolator: Isolator, tmp_path: Path) -> None:
    with pytest.raises(IsolationError):
        isolator.run(fill_disk, tmp_path / "big")
    assert (tmp_path / "big").stat().st_size <= 64 * MIB


@pytest.mark.skipif(not can_deny_network(), reason="no seccomp filter for this machine")
@pytest.mark.parametrize("task", [open_socket, start_program])
def test_neither_network_nor_programs(isolator: Isolator, task: object) -> None:
    with pytest.raises(IsolationError, match="Operation not permitted"):
        isolator.run(task)  # type: ignore[arg-type]


def test_a_machine_without_filter_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "sparc")
    assert not can_deny_network()
    assert not deny_network()
