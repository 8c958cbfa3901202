"""Command line of the robustness bench."""

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench import speed
from bench.watermark import flicker, null, peers, report, runner, security, sheets, suite
from bench.watermark.attacks import Attack, Kind
from bench.watermark.errors import BenchError, UnavailableError
from bench.watermark.media import Medium, drawn_media, find_media
from bench.watermark.systems import load_system, system_names
from watermark import WatermarkError

PARTS = ("robustness", "null", "security", "speed", "report")
QUICK_PHOTOS, QUICK_FRAMES, QUICK_NULL = 4, 12, 60
"""What `--quick` cuts a run down to: under five minutes on two cores."""
T = TypeVar("T")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.watermark", description="Robustness of the mark.")
    parser.add_argument("--media", type=Path, help="folder with photographs and clips")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for results and report; a run resumes there"
    )
    parser.add_argument("--quick", action="store_true", help="a sample in under five minutes on two cores")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to run")
    parser.add_argument("--suite", choices=("core", "full", "quick"), help="list of attacks (default: full)")
    parser.add_argument(
        "--attacks", nargs="+", default=[], metavar="GLOB", help="only attacks with such names"
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="GLOB", help="only media with such names")
    parser.add_argument("--kinds", nargs="+", choices=("image", "video"), default=["image", "video"])
    parser.add_argument(
        "--systems", nargs="+", default=["assay"], metavar="NAME", help=f"of {', '.join(system_names())}"
    )
    parser.add_argument("--keys", type=int, default=3, help="key rings per medium")
    parser.add_argument("--ids", type=int, default=2, help="messages per key ring")
    parser.add_argument(
        "--side", type=int, default=512, help="photographs are cropped to this square, in pixels"
    )
    parser.add_argument("--frames", type=int, default=36, help="frames of a clip, from its start")
    parser.add_argument("--height", type=int, help="scale clips to so many lines")
    parser.add_argument("--no-drawn", action="store_true", help="leave out the media that the bench draws")
    parser.add_argument("--null", type=int, default=2000, metavar="N", help="unmarked picture and key pairs")
    parser.add_argument(
        "--wrong-keys", type=int, default=200, metavar="N", help="marked pictures under other keys"
    )
    parser.add_argument(
        "--words", type=int, default=2000, metavar="N", help="single messages read off unmarked pictures"
    )
    parser.add_argument("--vae", type=Path, help="folder with TAEF2's weights, for regeneration")
    parser.add_argument("--weights", type=Path, help="folder with peers' TorchScript files")
    parser.add_argument("--peers", type=Path, help="folder where pip install --target put peers")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--minutes", type=float, help="stop measuring after so long; run again to go on")
    parser.add_argument("--list", action="store_true", help="print the attacks and stop")
    return _quick(parser.parse_args(argv))


def _quick(args: argparse.Namespace) -> argparse.Namespace:
    args.suite = args.suite or ("quick" if args.quick else "full")
    if args.quick:
        args.keys = args.ids = 1
        args.frames = min(args.frames, QUICK_FRAMES)
        args.words = min(args.words, 10 * QUICK_NULL)
        args.null, args.wrong_keys = min(args.null, QUICK_NULL), min(args.wrong_keys, QUICK_NULL // 4)
    return args


class Bench:
    """One invocation: what was asked, and where the results go."""

    def __init__(self, args: argparse.Namespace, console: Console) -> None:
        self.args, self.console = args, console
        self.builds = {name: runner.build_of(name) for name in system_names()}
        self.build = self.builds["assay"]
        self.deadline = time.monotonic() + 60 * args.minutes if args.minutes else None
        self.cells_path: Path = args.out / "cells.jsonl"
        self.null_path: Path = args.out / "null.jsonl"
        self.media = self._media()
        self.attacks = self._attacks()

    def _media(self) -> tuple[Medium, ...]:
        a = self.args
        media: tuple[Medium, ...] = ()
        if a.media is not None:
            media += find_media(a.media, side=a.side, frames=a.frames, height=a.height)
        if not a.no_drawn:
            media += drawn_media(side=a.side, frames=a.frames, height=a.height)
        if a.quick:
            pictures = [medium for medium in media if medium.kind == "image"]
            media = (*pictures[:QUICK_PHOTOS], *pictures[-2:], *[m for m in media if m.kind == "video"][:1])
        chosen = [m for m in media if not a.only or any(fnmatchcase(m.name, glob) for glob in a.only)]
        media = tuple(medium for medium in dict.fromkeys(chosen) if medium.kind in a.kinds)
        if not media:
            raise BenchError("there are no media: give --media, or leave out --no-drawn or --only")
        return media

    def _attacks(self) -> dict[Kind, tuple[Attack, ...]]:
        kinds: tuple[Kind, ...] = ("image", "video")
        lists = {kind: suite.attacks_for(self.args.suite, kind, self.args.vae) for kind in kinds}
        chosen = {kind: suite.choose(attacks, self.args.attacks) for kind, attacks in lists.items()}
        suite.require_any([attack for attacks in chosen.values() for attack in attacks], self.args.attacks)
        return chosen

    def systems(self) -> list[str]:
        """Systems that are installed; the others are named with their remedy."""
        found = []
        for name in self.args.systems:
            try:
                load_system(name, self.args.weights)
                found.append(name)
            except UnavailableError as error:
                self.console.print(f"[yellow]{name} left out:[/] {error}")
        if not found:
            raise BenchError("none of the systems asked for is installed")
        return found

    def watch(self, items: Iterable[T], total: int, title: str) -> Iterator[T]:
        """Show progress over `items`, and stop at the deadline."""
        with _progress(self.console) as progress:
            task = progress.add_task(title, total=total)
            for item in items:
                progress.advance(task)
                yield item
                if self.deadline is not None and time.monotonic() > self.deadline:
                    self.console.print(f"[yellow]{title}: stopped at the time limit; run again to go on[/]")
                    return

    def robustness(self) -> None:
        """Measure what is missing of all cells."""
        done = {cell.identity for cell in runner.read_cells(self.cells_path)}
        trials = runner.trials_of(self.args.keys, self.args.ids)
        units = runner.plan(
            self.systems(),
            self.media,
            self.attacks,
            trials,
            done=done,
            builds=self.builds,
            weights=self.args.weights,
        )
        results = runner.run(units, self.cells_path, workers=self.args.workers)
        flat = (cell for cells in results for cell in cells)
        for _ in self.watch(flat, sum(len(unit.attacks) for unit in units), "robustness"):
            pass

    def null(self) -> None:
        """Measure what is missing of the null pairs."""
        pictures = [replace(medium, frames=min(medium.frames, 8)) for medium in self.media]
        stills = [medium for medium in self.media if medium.kind == "image"] or pictures
        asked = (
            ("one word", self.args.words, pictures),
            ("wrong key", self.args.wrong_keys, stills),
            ("unmarked", self.args.null, pictures),
        )
        for kind, count, media in asked:
            pairs = null.run_null(
                kind, count, media, self.null_path, build=self.build, workers=self.args.workers
            )
            for _ in self.watch(pairs, count, f"null: {kind}"):
                pass

    def security(self) -> None:
        """What an attacker without the key can do; measured anew each time."""
        photos = [m.load()[0] for m in self.media if m.kind == "image" and m.path is not None]
        clips = [m.load() for m in self.media if m.kind == "video"][:1]
        counts = (1, 5) if self.args.quick else security.COUNTS
        rows = security.run_security(
            photos, clips[0] if clips else None, counts=counts, victims=2 if self.args.quick else 6
        )
        done = list(self.watch(rows, 0, "security"))
        _write_json(
            self.args.out / "security.json", {"build": self.build, "rows": [asdict(row) for row in done]}
        )

    def speed(self) -> None:
        """Timings, with as many threads as the machine gives."""
        timings = speed.measure(repeats=1 if self.args.quick else 3)
        self.console.print(speed.table(timings))
        _write_json(
            self.args.out / "speed.json", {"build": self.build, "rows": [asdict(row) for row in timings]}
        )

    def report(self) -> None:
        """Write the report from everything measured with this build, in this run or before."""
        cells = [
            cell for cell in runner.read_cells(self.cells_path) if cell.build == self.builds.get(cell.system)
        ]
        pictures = [medium for medium in self.media if medium.kind == "image"]
        clips = [medium for medium in self.media if medium.kind == "video"]
        shown = {
            f"Contact sheet, {name}: unmarked, marked, difference x20, attacked": sheets.sheet(media)
            for name, media in (("pictures", pictures[-6:]), ("clips", clips[:3]))
            if media
        }
        shown |= {
            f"{m.name}, unmarked and marked, {zoom}x": sheets.visibility(m, zoom=zoom)
            for m in pictures[-6:]
            for zoom in (1, 2)
        }
        results = report.Results(
            self.build,
            cells,
            suite.promises_for(self.args.suite),
            null.read_pairs(self.null_path, self.build),
            [security.SecurityRow(**row) for row in _read_rows(self.args.out / "security.json", self.build)],
            [speed.Timing(**row) for row in _read_rows(self.args.out / "speed.json", self.build)],
            shown,
            list(flicker.measure(clips)),
        )
        page = report.write_report(results, self.args.out)
        self.console.print(f"report: {page}")


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


def _read_rows(path: Path, build: str) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    value = json.loads(path.read_text())
    return list(value["rows"]) if value["build"] == build else []


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        yield progress


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench. Returns 0, or 2 for a bad request; unkept promises are findings, not failures."""
    console = Console()
    args = parse(argv)
    try:
        if args.peers is not None:
            peers.add_folder(args.peers)
        if args.workers > 1:
            torch.set_num_threads(1)
        args.out.mkdir(parents=True, exist_ok=True)
        bench = Bench(args, console)
        if args.list:
            for kind, attacks in bench.attacks.items():
                for attack in attacks:
                    console.print(f"{kind}\t{attack.name}")
            return 0
        for part in (part for part in PARTS if part in args.parts):
            getattr(bench, part)()
    except (BenchError, WatermarkError, OSError) as error:
        console.print(f"[red]error:[/] {error}")
        return 2
    return 0
