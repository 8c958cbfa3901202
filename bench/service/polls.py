"""How fast `GET /v1/videos/{id}` answers at a fixed rate, while a worker is busy.

The load is open: request number n is due at n / rate, and its time runs from then, so that a slow answer
delays the ones behind it in the figures as it does for clients.
"""

from __future__ import annotations

import asyncio
import sys
import time

import httpx
import numpy as np

CONNECTIONS = 32


def run(url: str, *, rate: int, seconds: float) -> dict[str, object]:
    """Queue jobs so that the worker is busy, then poll one of them `rate` times a second."""
    made = [
        httpx.post(f"{url}/v1/videos", json={"prompt": f"a boat, number {index}", "steps": 400}, timeout=60)
        for index in range(3)
    ]
    video = made[0].raise_for_status().json()["id"]
    while httpx.get(f"{url}/v1/videos/{video}", timeout=60).json()["status"] == "queued":
        time.sleep(0.2)
    times, bad = asyncio.run(_load(url, video, rate, seconds))
    state = httpx.get(f"{url}/v1/videos/{video}", timeout=60).json()["status"]
    for answer in made:
        httpx.delete(f"{url}/v1/videos/{answer.json()['id']}", timeout=60)
    return {
        "asked_per_s": rate,
        "answered_per_s": round(len(times) / max(times[-1][1], 1e-9)),
        "seconds": seconds,
        **{
            f"p{q}_ms": round(1000 * float(np.percentile([one[0] for one in times], q)), 1)
            for q in (50, 95, 99)
        },
        "errors": bad,
        "worker_busy": state == "in_progress",
    }


async def _load(url: str, video: str, rate: int, seconds: float) -> tuple[list[tuple[float, float]], int]:
    host, port = url.removeprefix("http://").split(":")
    request = f"GET /v1/videos/{video} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()
    due: asyncio.Queue[float | None] = asyncio.Queue()
    times: list[tuple[float, float]] = []
    started = time.perf_counter()
    errors = 0

    async def connection() -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection(host, int(port))
        while (moment := await due.get()) is not None:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
            now = time.perf_counter()
            errors += not head.startswith(b"HTTP/1.1 200")
            times.append((now - started - moment, now - started))
        writer.close()

    clients = [asyncio.create_task(connection()) for _ in range(CONNECTIONS)]
    for number in range(int(rate * seconds)):
        moment = number / rate
        wait = started + moment - time.perf_counter()
        if wait > 0.001:
            await asyncio.sleep(wait)
        due.put_nowait(moment)
        if number % (rate * 5) == 0:
            print(f"{number} of {int(rate * seconds)} sent", file=sys.stderr, flush=True)
    for _ in clients:
        due.put_nowait(None)
    await asyncio.gather(*clients)
    return times, errors
