"""Bad uploads: each gets a problem with a reason, memory stays flat, the service stays up."""

import io
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
import skimage.data
from PIL import Image

from service.api.uploads import unbracket
from service.errors import Problem
from tests.service.server import Server
from tests.service.waiting import until
from watermark import write_video

GIB = 2**30
MEMORY_LIMIT = 1.5 * GIB
SOON = 60.0  # seconds, on a machine that is busy with other tests


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("files")
    frames = [np.roll(skimage.data.coffee()[:256, :256], 3 * index, 1) for index in range(12)]
    write_video(folder / "a.mp4", iter(frames), fps=12)
    clip = (folder / "a.mp4").read_bytes()
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG")
    one = buffer.getvalue()
    bomb = bytearray(one)
    bomb[16:24] = struct.pack(">II", 60_000, 60_000)
    return {
        "empty": b"",
        "one pixel": one,
        "declares 3.6 gigapixels": bytes(bomb),
        "text": b"#!/bin/sh\necho hello\n",
        "zeros": bytes(100_000),
        "truncated clip": clip[: len(clip) // 2],
        "clip without frames": empty_clip(folder / "empty.mp4"),
        "picture cut off": one[:40],
        "html": b"<!doctype html><script>alert(1)</script>",
    }


def empty_clip(path: Path) -> bytes:
    """A well-formed MP4 whose one video track has no sample."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        container.start_encoding()
    return path.read_bytes()


def memory(server: Server) -> int:
    """Proportional resident bytes of the API process and everything it started but the worker."""
    assert server.process is not None
    return sum(proportional(pid) for pid in family(server.process.pid) if pid not in server.workers())


def family(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(text) for thread in threads for text in thread.read_text().split()]
    return [pid, *(one for child in children for one in family(child))]


def proportional(pid: int) -> int:
    """`Pss`: a page that several processes share is counted once among them."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


EXPECTED = {
    "empty": (400, "empty_file"),
    "one pixel": (422, "unreadable_media"),
    "declares 3.6 gigapixels": (422, "unreadable_media"),
    "text": (415, "not_media"),
    "zeros": (415, "not_media"),
    "truncated clip": (422, "unreadable_media"),
    "clip without frames": (422, "unreadable_media"),
    "picture cut off": (422, "unreadable_media"),
    "html": (415, "not_media"),
}


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("as_form", [True, False])
def test_bad_files(server: Server, files: dict[str, bytes], name: str, as_form: bool) -> None:
    body: dict[str, object] = (
        {"files": {"file": ("<b>.mp4", files[name])}} if as_form else {"content": files[name]}
    )
    answer = httpx.post(f"{server.url}/v1/verify", timeout=60, **body)  # type: ignore[arg-type]
    problem = answer.json()
    assert (answer.status_code, problem["reason"]) == EXPECTED[name]
    assert problem["stage"] == "inspect"
    assert len(problem["detail"]) > 10


def test_two_gigabytes_are_refused_with_flat_memory(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "sparse.mp4"
    with path.open("wb") as file:
        file.truncate(2 * GIB)
    before = memory(server)
    with path.open("rb") as file:
        answer = httpx.post(f"{server.url}/v1/verify", files={"file": file}, timeout=120)
    assert (answer.status_code, answer.json()["reason"]) == (413, "too_large")
    assert memory(server) < min(MEMORY_LIMIT, before + 100 * 2**20)
    assert httpx.get(f"{server.url}/healthz").is_success
    assert list((server.home / "scratch").iterdir()) == []


def test_an_endless_body_without_length_is_refused(server: Server) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(80):
            yield bytes(2**20)

    answer = httpx.post(f"{server.url}/v1/verify", content=chunks(), timeout=60)
    assert answer.json()["reason"] == "too_large"


def test_a_client_that_asks_first_is_refused_at_once(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as link:
        link.sendall(
            b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Content-Length: 9999999999\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        assert link.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_goes_away_leaves_nothing(server: Server) -> None:
    scratch = server.home / "scratch"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as link:
        link.sendall(b"POST /v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + bytes(1000))
        until(lambda: any(scratch.iterdir()), SOON, told=lambda: "the upload did not begin")
    until(lambda: not any(scratch.iterdir()), SOON, told=lambda: server.log[-4000:])


def test_a_form_without_file(server: Server) -> None:
    answer = httpx.post(f"{server.url}/v1/verify", files={"other": b"x"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "no_file")


def test_a_reference_that_is_too_large(server: Server) -> None:
    big = os.urandom(2**20) * 30
    answer = httpx.post(
        f"{server.url}/v1/videos", data={"prompt": "x"}, files={"input_reference": big}, timeout=60
    )
    assert (answer.status_code, answer.json()["reason"]) == (413, "too_large")


def test_a_foreign_picture_has_no_evidence(server: Server) -> None:
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.coffee()).save(buffer, "JPEG")
    report = httpx.post(f"{server.url}/v1/verify", content=buffer.getvalue(), timeout=60).json()
    assert report["verdict"] == "no_evidence"
    assert report["watermark"]["found"] is False


def test_keys_of_forms_are_unbracketed() -> None:
    items = [
        ("a", "1"),
        ("b[c]", "2"),
        ("b[d][e]", "3"),
        ("l[]", "4"),
        ("l[]", "5"),
        ("o[][n]", "6"),
        ("o[][n]", "7"),
    ]
    assert unbracket(items) == {
        "a": "1",
        "b": {"c": "2", "d": {"e": "3"}},
        "l": ["4", "5"],
        "o": [{"n": "6"}, {"n": "7"}],
    }
    for bad in ([("a", "1"), ("a[b]", "2")], [("a[b]", "1"), ("a[]", "2")], [("a[b][c][d][e]", "1")]):
        with pytest.raises(Problem):
            unbracket(bad)
