"""Memory of a clip through encode, sign and deliver, by its length: `python -m bench.delivery --out FILE`.

Each length runs in a process of its own, whose peak resident memory is read from the kernel. Frames come
one by one, as from a decoder that streams; the signed file is sent as the service sends it, in ranges of
nothing but the block in flight.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from starlette.responses import FileResponse

from provenance import (
    Agent,
    ManifestFacts,
    SigningKey,
    TrustAnchors,
    create_dev_authority,
    read_manifest,
    sign_asset,
)
from watermark import MediaId, write_video

LENGTHS = (10, 600)
"""Seconds."""
LIMIT = 1.2
FPS, WIDTH, HEIGHT = 24, 640, 360


def frames(seconds: int) -> Iterator[NDArray[np.uint8]]:
    """A pattern that moves, with grain: nothing that an encoder drops for free."""
    rng = np.random.default_rng(0)
    grain = rng.integers(0, 24, (HEIGHT, 2 * WIDTH, 3), dtype=np.uint8)
    ramp = np.linspace(0, 200, 2 * WIDTH, dtype=np.uint8)[None, :, None]
    whole = grain + ramp
    for index in range(seconds * FPS):
        start = 3 * index % WIDTH
        yield whole[:, start : start + WIDTH]


def deliver(path: Path) -> int:
    """Send the file as the service does; returns the bytes that went out."""
    sent = 0

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()  # the client stays and says nothing
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal sent
        sent += len(message.get("body", b""))

    scope = {"type": "http", "method": "GET", "headers": []}
    asyncio.run(FileResponse(path)(scope, receive, send))
    return sent


def run(seconds: int) -> dict[str, float]:
    """One clip through all stages in this process: bytes sent, and peak memory in MB before and after."""
    before = _peak()
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority = create_dev_authority(folder / "keys", now=now)
        key = SigningKey.from_files(authority.chain, authority.key)
        trust = TrustAnchors.bundled().with_claim_root(authority.root.read_bytes())
        write_video(folder / "clip.mp4", frames(seconds), fps=FPS, crf=23, preset="ultrafast")
        encoded = _peak()
        facts = ManifestFacts(
            title="clip.mp4",
            mime="video/mp4",
            media_id=MediaId(1),
            created_at=now,
            generator=Agent("assay", "bench"),
        )
        sign_asset(folder / "clip.mp4", folder / "signed.mp4", facts, key, trust=trust)
        if not read_manifest(folder / "signed.mp4", trust).state.intact:
            raise RuntimeError("the signed clip does not read back")
        signed = _peak()
        sent = deliver(folder / "signed.mp4")
    return {"bytes": sent, "start": before, "encode": encoded, "sign": signed, "deliver": _peak()}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure every length in a process of its own and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=int, help="measure this length in this process alone")
    chosen = parser.parse_args()
    if chosen.seconds:
        print(json.dumps(run(chosen.seconds)))
        return
    rows = {}
    for seconds in LENGTHS:
        command = [sys.executable, "-m", "bench.delivery", "--seconds", str(seconds)]
        rows[seconds] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    table = Table(title=f"Peak memory, MB, of a {WIDTH}x{HEIGHT} clip at {FPS} fps")
    for heading in ("seconds", "file, MB", "imports", "encode", "sign", "deliver"):
        table.add_column(heading, justify="right")
    for seconds, row in rows.items():
        cells = [row["bytes"] / 1e6, row["start"], row["encode"], row["sign"], row["deliver"]]
        table.add_row(str(seconds), *(f"{cell:.1f}" for cell in cells))
    ratio = rows[LENGTHS[1]]["deliver"] / rows[LENGTHS[0]]["deliver"]
    Console().print(table)
    Console().print(f"ratio {ratio:.3f} (limit {LIMIT})")
    if chosen.out:
        chosen.out.write_text(json.dumps({"rows": rows, "ratio": ratio}, indent=2))


if __name__ == "__main__":
    main()
