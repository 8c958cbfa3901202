"""What a hundred uploads at once do to the memory of the API process."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

CHUNK = os.urandom(2**16)
"""Not media: what is measured is the way of the bytes to the disk, not what examines them."""


def run(url: str, pid: int, *, parallel: int, size: int) -> dict[str, object]:
    """Send `parallel` bodies of `size` bytes to /v1/verify at once; memory of process `pid` meanwhile."""
    asyncio.run(_send(url, CHUNK))  # imports of the first upload
    before, started = _resident(pid), time.monotonic()
    peak, statuses = asyncio.run(_all(url, pid, parallel, size))
    return {
        "parallel": parallel,
        "bytes_each": size,
        "seconds": round(time.monotonic() - started, 1),
        "before_mib": before >> 20,
        "peak_mib": peak >> 20,
        "grown_mib": (peak - before) >> 20,
        "statuses": {status: statuses.count(status) for status in sorted(set(statuses))},
    }


async def _all(url: str, pid: int, parallel: int, size: int) -> tuple[int, list[int]]:
    uploads = [asyncio.create_task(_send(url, CHUNK, size)) for _ in range(parallel)]
    peak = 0
    while not all(upload.done() for upload in uploads):
        peak = max(peak, _resident(pid))
        done = sum(upload.done() for upload in uploads)
        print(f"\r{done} of {parallel} answered", end="", file=sys.stderr, flush=True)
        await asyncio.sleep(0.1)
    return peak, [upload.result() for upload in uploads]


async def _send(url: str, chunk: bytes, size: int = 2**16) -> int:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /v1/verify HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/octet-stream\r\n"
    writer.write(f"{head}content-length: {size}\r\nconnection: close\r\n\r\n".encode())
    for begin in range(0, size, len(chunk)):
        writer.write(chunk[: size - begin])
        await writer.drain()
    status = int((await reader.readline()).split()[1])
    await reader.read()
    writer.close()
    return status


def _resident(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
