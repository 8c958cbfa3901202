"""`assay verify`: files, folders, patterns and standard input, as text, JSON lines, CSV, HTML or PDF."""

from __future__ import annotations

import csv
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from glob import glob, has_magic
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TextIO

import typer
from rich.console import Console
from rich.progress import track

from service.cli import console
from service.errors import ConfigurationError, IsolationError

if TYPE_CHECKING:
    from provenance import Evidence
    from service.inspection import Inspector

Row = dict[str, Any]
Place = Path | str
"""A file of this machine, or an address in a bucket."""

STDIN = "-"
COLUMNS = (
    "file",
    "verdict",
    "mark",
    "log10_p",
    "c2pa",
    "signer",
    "ai_source_type",
    "record",
    "revoked_at",
    "marked_time",
    "marked_area",
    "sha256",
    "error",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula at the start of a cell (OWASP, "CSV Injection")."""


class Reading(Protocol):
    """A file that is being read."""

    def result(self) -> Evidence:
        """Wait for it. Raises `RefusedError` and `IsolationError`."""


Awaited = tuple[str, Reading]


class Engine(StrEnum):
    LOCAL = "local"
    RAY = "ray"


class Format(StrEnum):
    TEXT = "text"
    JSONL = "jsonl"
    CSV = "csv"


def verify(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders (all that is in them), patterns, s3://BUCKET/PREFIX; - is a file on "
            "standard input."
        ),
    ] = None,
    listed: Annotated[
        Path | None, typer.Option("--list", help="File with one path per line; - is standard input.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As --format jsonl.")] = False,
    shape: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.TEXT,
    report: Annotated[
        Path | None, typer.Option("--report", help="Also write a report to file: .html or .pdf.")
    ] = None,
    thorough: Annotated[
        bool,
        typer.Option("--thorough", help="Also look for marked parts where the whole shows no mark; slower."),
    ] = False,
    engine: Annotated[Engine, typer.Option("--engine", help="Who reads the files.")] = Engine.LOCAL,
    workers: Annotated[
        int, typer.Option("--workers", help="With --engine ray: readers; 0 for one per processor.", min=0)
    ] = 0,
) -> int:
    """Everything that can be proved. Exit 0 when at least one file holds evidence, 1 when none does."""
    if report is not None and report.suffix.lower() not in (".html", ".pdf"):
        raise ConfigurationError(f"{report}: reports are written as .html or .pdf")
    shape = Format.JSONL if json else shape
    with _paths(files or [], listed) as paths:
        if not paths:
            raise ConfigurationError("nothing to verify: name files, folders or patterns, or give --list")
        with _reading(paths, engine, workers, thorough=thorough) as awaited:
            rows = list(_shown(_judged(awaited), shape, len(paths)))
    if report is not None:
        _write_report(report, rows)
    if any("error" in row for row in rows):
        return console.BAD_INPUT
    found = any(row["verdict"] != "no_evidence" for row in rows)
    return console.FOUND if found else console.NOTHING


@contextmanager
def _reading(
    paths: list[tuple[str, Place]], engine: Engine, workers: int, *, thorough: bool
) -> Iterator[Iterator[Awaited]]:
    """What each file says about itself, in order. On this machine files are read in their own processes, as
    many at a time as the settings allow; with Ray on many machines."""
    if engine is Engine.RAY:
        from service.cluster.reading import read_all

        local = [(name, place) for name, place in paths if isinstance(place, Path)]
        if thorough or len(local) < len(paths):
            raise ConfigurationError("--engine ray reads files that every node reaches, and not --thorough")
        with read_all(console.settings(), local, workers=workers) as readings:
            yield readings
        return
    from service.isolate import start_server

    start_server()
    from service.inspection import build_inspector

    settings = console.settings()
    with ThreadPoolExecutor(settings.inspect_parallel) as pool:
        reader = Reader(build_inspector(settings), settings.upload_max_bytes, thorough)
        yield _ahead(pool, reader, paths, settings.inspect_parallel)


def _judged(awaited: Iterator[Awaited]) -> Iterator[Row]:
    """One row per file, in order; files are read on while one is judged, the first already while the
    database's modules are still loading."""
    first = next(awaited)
    from provenance import judge
    from service.isolate import RefusedError
    from service.wiring import open_services

    services = open_services(console.settings())
    for name, reading in chain([first], awaited):
        try:
            evidence = reading.result()
            answer = judge(evidence, services.registry, now=services.clock())
            yield {"file": name, "sha256": evidence.sha256, **answer.to_json()}
        except (RefusedError, IsolationError) as error:
            console.complain(f"{name}: {error}")
            yield {"file": name, "error": {"reason": error.reason, "message": str(error)}}


def _ahead(pool: Executor, reader: Reader, paths: list[tuple[str, Place]], most: int) -> Iterator[Awaited]:
    """Every name with the reading of its file, begun up to `most` files before it is asked for."""
    begun: deque[tuple[str, Future[Evidence]]] = deque()
    for name, place in paths:
        begun.append((name, pool.submit(reader.read, place)))
        if len(begun) >= most:
            yield begun.popleft()
    yield from begun


@dataclass(frozen=True)
class Reader:
    """Reads files in processes of their own; those in buckets, up to `limit` bytes, are fetched first."""

    inspector: Inspector
    limit: int
    thorough: bool

    def read(self, place: Place) -> Evidence:
        """Raises `RefusedError` and `IsolationError`."""
        from service.isolate import RefusedError

        if isinstance(place, str):
            from service.remote import fetched

            with fetched(place, limit=self.limit) as path:
                return self.inspector.inspect(path, thorough=self.thorough)
        if not place.is_file():
            raise RefusedError("not_found", "There is no such file.")
        return self.inspector.inspect(place, thorough=self.thorough)


def _shown(rows: Iterator[Row], shape: Format, count: int) -> Iterator[Row]:
    """Print each row as it comes; a bar on standard error where nobody reads along."""
    if count > 1 and not sys.stdout.isatty():
        bar = Console(stderr=True)
        rows = iter(track(rows, "verify", total=count, console=bar, disable=not bar.is_terminal))
    show = _printers(sys.stdout)[shape]
    for row in rows:
        show(row)
        yield row


def _printers(out: TextIO) -> dict[Format, Callable[[Row], None]]:
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    started = False

    def as_csv(row: Row) -> None:
        nonlocal started
        if not started:
            writer.writeheader()
            started = True
        writer.writerow({name: cell(value) for name, value in flat(row).items()})
        out.flush()

    def as_text(row: Row) -> None:
        if "error" not in row:
            print("\n".join(lines_of(row)))

    return {Format.TEXT: as_text, Format.JSONL: console.emit, Format.CSV: as_csv}


def flat(row: Row) -> Row:
    """The columns of one row."""
    if "error" in row:
        return {"file": row["file"], "error": row["error"]["reason"]}
    mark, c2pa, registry = row["watermark"], row["c2pa"], row["registry"]
    return {
        "file": row["file"],
        "verdict": row["verdict"],
        "mark": mark["id"],
        "log10_p": mark["log10_p"],
        "c2pa": c2pa["state"],
        "signer": (c2pa["signer"] or {}).get("organisation"),
        "ai_source_type": c2pa["ai_source_type"],
        "record": registry.get("id"),
        "revoked_at": registry.get("revoked_at"),
        "marked_time": (row["coverage"] or {}).get("time"),
        "marked_area": (row["coverage"] or {}).get("area"),
        "sha256": row["sha256"],
    }


def cell(value: object) -> object:
    """A value that no spreadsheet takes for a formula; numbers stay numbers."""
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value


def lines_of(row: Row) -> list[str]:
    """The verdict, and what each fact means and does not prove."""
    lines = [f"{row['file']}: {row['verdict']}"]
    for line in row["explain"]:
        lines += [
            f"  {line['fact']}",
            f"    means: {line['means']}",
            f"    does not prove: {line['does_not_prove']}",
        ]
    return lines


@contextmanager
def _paths(names: list[str], listed: Path | None) -> Iterator[list[tuple[str, Place]]]:
    """What was asked for, in order, each once: the name to show and the file to read."""
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        more = _listed(listed) if listed is not None else []
        found = [pair for name in (*names, *more) for pair in _named(name, Path(folder))]
        yield list(dict.fromkeys(found))


def _named(name: str, folder: Path) -> list[tuple[str, Place]]:
    if "://" in name:
        return _in_bucket(name)
    if name == STDIN:
        path = folder / "standard-input"
        path.write_bytes(sys.stdin.buffer.read())
        return [(STDIN, path)]
    path = Path(name)
    if path.is_dir():
        inside = sorted(one for one in path.rglob("*") if one.is_file() and not one.name.startswith("."))
        return [(str(one), one) for one in inside]
    if has_magic(name) and not path.exists():
        return [(one, Path(one)) for one in sorted(glob(name, recursive=True)) if Path(one).is_file()]
    return [(name, path)]


def _in_bucket(name: str) -> list[tuple[str, Place]]:
    from service.remote import is_remote, listed

    if not is_remote(name):
        raise ConfigurationError(f"{name}: give a file, or an address in a bucket: s3://BUCKET/PREFIX")
    return [(one, one) for one in listed(name)]


def _listed(path: Path) -> list[str]:
    try:
        text = sys.stdin.read() if str(path) == STDIN else path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _write_report(path: Path, rows: list[Row]) -> None:
    from service.casefile import as_html, as_pdf

    made = version("assay")
    content = (
        as_pdf(rows, version=made) if path.suffix.lower() == ".pdf" else as_html(rows, version=made).encode()
    )
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from error
