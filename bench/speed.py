"""Speed of the mark against its limits, and against a peer when one is installed, in the same run.

`python -m bench.speed [--out FILE]`. A limit is a wall time on two CPU cores; ratio is measured over limit.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.watermark import synthetic
from bench.watermark.attacks import ENCODERS, Frames, encode
from bench.watermark.errors import UnavailableError
from bench.watermark.systems import Trial, load_system, media_id_of, ring_of, to_float
from watermark import Detector, Mark, open_media

LINES, COLUMNS, FPS, SECONDS = 720, 1280, 24, 5
TRIAL = Trial(0, 0)


@dataclass(frozen=True)
class Timing:
    """One measured wall time against its limit, in seconds; `cpu` is the time of all threads together."""

    name: str
    seconds: float
    cpu: float
    limit: float | None

    @property
    def ratio(self) -> float | None:
        """Measured over limit: up to 1 is kept."""
        return None if self.limit is None else self.seconds / self.limit


def timed(
    name: str, work: Callable[[], object], *, repeats: int, limit: float | None, share: int = 1
) -> Timing:
    """Shortest of `repeats` runs, over `share`: what the work costs, without the neighbours."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return Timing(name, min(walls) / share, min(cpus) / share, limit)


def embedding(repeats: int) -> Iterator[Timing]:
    """Seconds a 720p frame, in chunks of eight as a decoder hands them over: in place, as inside `decode`,
    and into new memory, whose pages a processor has to fetch first.
    """
    frames = to_float(synthetic.pan(8, LINES, COLUMNS))
    mark = Mark(ring_of(0).subkey(0), media_id_of(0))
    mark.apply(frames)
    for name, in_place, limit in (("in place", True, 0.008), ("into new memory", False, None)):
        work = partial(mark.apply, frames, in_place=in_place)
        title = f"embed, per 720p frame, {name}"
        yield timed(title, work, repeats=repeats, limit=limit, share=len(frames))


def detection(folder: Path, repeats: int) -> Iterator[Timing]:
    """Detection from encoded files, decoding included."""
    clean = synthetic.pan(FPS * SECONDS, LINES, COLUMNS)
    marked = load_system("assay").embed(clean, TRIAL)
    detector = Detector([ring_of(0)])
    cases = (("detect, marked 5 s 720p clip", marked, 1.5), ("detect, unmarked 5 s 720p clip", clean, 4.0))
    path = folder / "clip.mp4"
    for name, frames, limit in cases:
        path.write_bytes(encode(frames, ENCODERS["h264"], fps=FPS, crf="23"))
        yield timed(
            name, lambda: detector.detect(open_media(path).frames(exact=False)), repeats=repeats, limit=limit
        )
    still = synthetic.scene(1080, 1920)
    yield timed("detect, unmarked 1080p still", partial(detector.detect, [still]), repeats=repeats, limit=0.7)


def peers(repeats: int) -> Iterator[Timing]:
    """A peer on one 720p frame, where installed."""
    frame: Frames = synthetic.scene(LINES, COLUMNS)[None]
    for name in ("assay", "dwtDctSvd"):
        try:
            system = load_system(name)
        except UnavailableError:
            continue
        marked = system.embed(frame, TRIAL)
        embed = partial(system.embed, frame, TRIAL)
        yield timed(f"{name}: embed one 720p still", embed, repeats=repeats, limit=None)
        detect = partial(system.detect, marked, TRIAL)
        yield timed(f"{name}: detect one 720p still", detect, repeats=repeats, limit=None)


def measure(repeats: int = 3) -> list[Timing]:
    """All timings."""
    with tempfile.TemporaryDirectory() as folder:
        return [*embedding(repeats), *detection(Path(folder), repeats), *peers(repeats)]


def table(timings: list[Timing]) -> Table:
    """Timings as a table for a terminal."""
    out = Table("measure", "seconds", "CPU seconds", "limit", "ratio")
    for timing in timings:
        limit = "" if timing.limit is None else f"{timing.limit:g}"
        ratio = "" if timing.ratio is None else f"{timing.ratio:.2f}"
        out.add_row(timing.name, f"{timing.seconds:.4f}", f"{timing.cpu:.4f}", limit, ratio)
    return out


def main(argv: list[str] | None = None) -> int:
    """Print the table; 0 when every limit is kept, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.speed", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="runs per measure; the shortest counts")
    parser.add_argument("--out", type=Path, help="write the timings as JSON")
    args = parser.parse_args(argv)
    timings = measure(args.repeats)
    Console().print(table(timings))
    if args.out is not None:
        args.out.write_text(json.dumps([asdict(timing) for timing in timings], indent=1))
    return int(any(timing.ratio is not None and timing.ratio > 1 for timing in timings))


if __name__ == "__main__":
    raise SystemExit(main())
