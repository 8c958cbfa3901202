"""Mutated files through the isolated reader: it stays up, its memory flat, the network silent."""

from __future__ import annotations

import io
import resource
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Final

import numpy as np
from PIL import Image

from bench.provenance import hostile
from bench.provenance.house import MIMES, House, encode, scene
from bench.provenance.rows import Results, Row, show, write_summary
from provenance import ManifestFacts, SigningKey, TrustAnchors, sign_asset
from service.errors import IsolationError
from service.inspection import Inspector
from service.isolate import Isolator, RefusedError
from service.sandbox import ProcessLimits
from service.untrusted import InspectionContext
from watermark import MediaId, MediaLimits

COUNT: Final = 10_000
MIB: Final = 1 << 20
_SIDE: Final = 96


@contextmanager
def listener() -> Iterator[tuple[str, list[str]]]:
    """A server on loopback that writes down who calls; nobody should."""
    calls: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calls.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/m.c2pa", calls
    finally:
        server.shutdown()
        server.server_close()


def seeds(house: House, folder: Path, url: str) -> dict[str, bytes]:
    """Small files of every kind: our own, plain and signed, and hostile ones."""
    found: dict[str, bytes] = {}
    for suffix in MIMES:
        frames = scene(900, height=_SIDE, width=_SIDE, frames=3 if MIMES[suffix].startswith("video") else 1)
        path = folder / f"seed{suffix}"
        encode(frames, path)
        facts = house.facts(MediaId(1), suffix, len(frames))
        sign_asset(path, path, facts, house.key, trust=TrustAnchors())
        found[f"signed{suffix}"] = path.read_bytes()
    return found | _hostile(found, house.facts(MediaId(1), ".png", 1), house.key, url)


def _hostile(found: dict[str, bytes], facts: ManifestFacts, key: SigningKey, url: str) -> dict[str, bytes]:
    picture = Image.open(io.BytesIO(found["signed.png"])).convert("RGB")
    plain = io.BytesIO()
    picture.save(plain, "PNG")
    facts = replace(facts, mime="image/png")
    return {
        "address.jpg": hostile.pointing_to(url, picture),
        "chain.png": hostile.chain(plain.getvalue(), facts, key, 12),
        "bomb.png": hostile.bomb(plain.getvalue(), facts, key, 9),
    }


def inspector(house: House) -> Inspector:
    """The reader as the service runs it, one file at a time."""
    isolator = Isolator(ProcessLimits(seconds=30, memory=1024 * MIB), parallel=1)
    limits = MediaLimits(max_bytes=16 * MIB, max_pixels=16_000_000, max_frames=600, max_seconds=60)
    return Inspector(isolator, InspectionContext((house.ring,), house.trust, limits))


def answer(reader: Inspector, path: Path) -> str:
    """What came of one file, in one word: the state of its credentials, or why it was refused."""
    try:
        return f"read, credentials {reader.inspect(path).c2pa.state}"
    except RefusedError as error:
        return f"refused, {error.reason}"
    except IsolationError as error:
        return f"contained, {error.reason}"


def resident_bytes() -> int:
    """Resident memory of this process (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def run(out: Path, count: int = COUNT) -> Row:
    """Read what is missing, print the table, write the summary and return it."""
    house = House(out / "house")
    memory: list[int] = []
    with TemporaryDirectory() as name, listener() as (url, calls):
        folder, reader = Path(name), inspector(house)
        given = seeds(house, folder, url)
        names = list(given)

        def measure(case: str) -> Row:
            rng = np.random.default_rng(zlib.crc32(case.encode()))
            number = int(case)
            kind = names[number % len(names)]
            other = given[names[int(rng.integers(len(names)))]]
            content = given[kind] if number < len(names) else hostile.mutated(given[kind], other, rng)
            path = folder / "upload"
            path.write_bytes(content)
            said = answer(reader, path)
            memory.append(resident_bytes())
            return {"kind": kind, "answer": said, "rss": memory[-1]}

        cases = [str(number) for number in range(count)]
        rows = Results(out / "fuzz.jsonl").complete("mutated files", cases, measure)
        requests = len(calls)
    answers = Counter(row["answer"] for row in rows)
    show("mutated files", ("answer", "files"), answers.most_common())
    settled = memory[len(memory) // 10 :] or [0]
    summary = {
        "files": len(rows),
        "answers": dict(answers),
        "requests": requests,
        "parent_rss_mib": {"after_a_tenth": settled[0] // MIB, "most": max(settled) // MIB},
    }
    write_summary(out / "fuzz.json", summary)
    print(
        f"{len(rows)} files; requests that left: {requests}; memory of the parent {summary['parent_rss_mib']}"
    )
    return summary
