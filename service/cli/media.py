"""`assay generate`, `mark` and `detect`."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import console
from service.errors import ConfigurationError, IsolationError

if TYPE_CHECKING:
    from generator import Released
    from service.inspection import Inspector
    from service.wiring import Services
    from watermark import AudioDetection, Detection, Located, MediaId

AsJson = Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")]
Files = Annotated[list[Path], typer.Argument(help="Pictures, clips or sound files.", show_default=False)]
Output = Annotated[Path, typer.Option("--output", "-o", help="File to write.", show_default=False)]


def generate(
    prompt: Annotated[str, typer.Argument(help="What to make.", show_default=False)],
    output: Output,
    reference: Annotated[list[Path] | None, typer.Option(help="Reference picture; may be repeated.")] = None,
    negative: Annotated[str, typer.Option(help="What to avoid.")] = "",
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT.")] = None,
    frames: Annotated[int | None, typer.Option(help="Frames of the clip.", min=1)] = None,
    steps: Annotated[int | None, typer.Option(help="Sampling steps.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed; drawn when left out.", min=0)] = None,
    json: AsJson = False,
) -> int:
    """Make a guarded, marked and signed clip and register it."""
    from generator import Reference, Request
    from service.production import build_generator, system_spec

    services = _services()
    settings = services.settings
    width, height = _size(size or settings.size)
    with _reported(), _beside(output) as folder, console.progress_bar("generate") as progress:
        if frames is None and settings.seconds:
            frames = system_spec(settings.model).frames_in(settings.seconds)
        request = Request(
            prompt=prompt,
            negative_prompt=negative,
            width=width,
            height=height,
            frames=frames,
            seed=seed,
            steps=steps or settings.steps or None,
            references=tuple(Reference(path=path, title=path.name) for path in reference or ()),
        )
        released = build_generator(services, folder).generate(
            request,
            services.registry.reserve(secrets.token_bytes),
            register=_registering(services, output),
            progress=progress,
        )
        released.path.replace(output)
    return _made(output, released, as_json=json)


def mark(
    source: Annotated[Path, typer.Argument(help="Picture, clip or sound file to mark.", show_default=False)],
    output: Output,
    media_id: Annotated[
        str | None, typer.Option("--id", help="12 hexadecimal digits; drawn when left out.")
    ] = None,
    no_sign: Annotated[bool, typer.Option("--no-sign", help="Mark and register without a manifest.")] = False,
    ai: Annotated[
        bool, typer.Option("--ai", help="State that AI made it: in the manifest, in labels, on the picture.")
    ] = False,
    json: AsJson = False,
) -> int:
    """Mark, sign and register a picture, clip or sound that was made elsewhere."""
    from generator import MediaMarker
    from provenance import SourceType
    from service import keys
    from service.inspection import media_limits
    from service.labelling import labelling
    from watermark import Detector

    services = _services()
    rings = keys.rings(services.settings)
    with _reported(), _beside(output) as folder, console.progress_bar("mark") as progress:
        marker = MediaMarker(
            ring=rings[0],
            detector=Detector(rings),
            signing_key=keys.signing_key(services.settings),
            trust=keys.trust(services.settings),
            folder=folder,
            clock=services.clock,
            randbelow=keys.randbelow(services.settings),
            limits=media_limits(services.settings),
            labelling=labelling(services.settings),
        )
        released = marker.mark(
            source,
            _reserve(services, media_id),
            register=_registering(services, output),
            no_sign=no_sign,
            source_type=SourceType.TRAINED_ALGORITHMIC if ai else None,
            progress=progress,
        )
        released.path.replace(output)
    return _made(output, released, as_json=json)


def detect(
    files: Files,
    locate: Annotated[
        bool, typer.Option("--locate", help="Tell which seconds and which region carry which id; slower.")
    ] = False,
    json: AsJson = False,
) -> int:
    """Look for the marks in picture and sound. Exit 0 when at least one file carries it, 1 when none does."""

    def examine(inspector: Inspector, path: Path) -> tuple[bool, dict[str, Any]]:
        started = time.monotonic()
        marks = inspector.detect(path)
        heard = None if marks.sound is None else _mark_row(marks.sound)
        found = heard if marks.picture is None else _mark_row(marks.picture)
        row = {
            "file": str(path),
            **(found or {}),
            "sound": heard,
            **({"parts": [_part_row(part) for part in inspector.locate(path).located]} if locate else {}),
            "seconds": round(time.monotonic() - started, 3),
        }
        return bool((found and found["found"]) or (heard and heard["found"]) or row.get("parts")), row

    return _each(files, examine, _detect_line, as_json=json)


def _each(
    files: list[Path],
    examine: Callable[[Inspector, Path], tuple[bool, dict[str, Any]]],
    lines: Callable[[dict[str, Any]], list[str]],
    *,
    as_json: bool,
) -> int:
    from service.isolate import RefusedError, start_server

    start_server()
    from service.inspection import build_inspector

    inspector = build_inspector(console.settings())
    evidence = failures = 0
    for path in files:
        try:
            if not path.is_file():
                raise RefusedError("not_found", "There is no such file.")
            found, row = examine(inspector, path)
        except (RefusedError, IsolationError) as error:
            failures += 1
            row = {"file": str(path), "error": {"reason": error.reason, "message": str(error)}}
            console.complain(f"{path}: {error}")
        else:
            evidence += found
            if not as_json:
                print("\n".join(lines(row)))
        if as_json:
            console.emit(row)
    if failures:
        return console.BAD_INPUT
    return console.FOUND if evidence else console.NOTHING


def _mark_row(detection: Detection | AudioDetection) -> dict[str, Any]:
    from watermark import Detection

    row = {
        "found": detection.found,
        "id": detection.media_id.hex if detection.media_id else None,
        "log10_p": round(detection.log10_p, 2),
        "band": str(detection.band),
    }
    if isinstance(detection, Detection):
        row["decoy_log10_p"] = round(detection.decoy_log10_p, 2)
    return row


def _part_row(part: Located) -> dict[str, Any]:
    box = part.box
    return {
        "id": part.media_id.hex,
        "key_id": part.key_id,
        "log10_p": round(part.log10_p, 2),
        "seconds": [round(part.span.start, 3), round(part.span.end, 3)],
        "box": [box.left, box.top, box.right, box.bottom],
    }


def _part_line(part: dict[str, Any]) -> str:
    start, end = part["seconds"]
    when = f" from {start:.1f} to {end:.1f} s" if end > start else ""
    left, top, right, bottom = part["box"]
    where = f"x {left} to {right}, y {top} to {bottom}"
    return f"  mark {part['id']}{when}, {where}, p <= 10^{part['log10_p']:.1f}"


def _detect_line(row: dict[str, Any]) -> list[str]:
    heard = f"; sound: {_mark_words(row['sound'])}" if row["sound"] else ""
    whole = f"{row['file']}: {_mark_words(row)}{heard}, {row['seconds']:.1f} s"
    return [whole, *(_part_line(part) for part in row.get("parts", ()))]


def _mark_words(row: dict[str, Any]) -> str:
    found = f"mark {row['id']}" if row["found"] else f"no mark ({row['band']})"
    return f"{found}, p <= 10^{row['log10_p']:.1f}"


def _made(output: Path, released: Released, *, as_json: bool) -> int:
    record = released.record
    if as_json:
        console.emit(
            {
                "file": str(output),
                "id": record.media_id.hex,
                "key_id": record.key_id,
                "manifest": record.manifest_label,
                "bytes": output.stat().st_size,
            }
        )
    else:
        signed = f"manifest {record.manifest_label}" if record.manifest_label else "not signed"
        print(f"{output}: mark {record.media_id.hex}, {signed}")
    return console.FOUND


def _registering(services: Services, output: Path) -> Callable[..., None]:
    """Registers what is released, once its type fits the name that was asked for."""

    def register(path: Path, asset: Any) -> None:
        if _type(path) != _type(output):
            raise ConfigurationError(f"{output}: the result is {path.suffix[1:]}; name the output so")
        services.registry.add(asset.record)

    return register


def _type(path: Path) -> str:
    suffix = path.suffix.lower()
    return {".jpeg": ".jpg", ".m4v": ".mp4"}.get(suffix, suffix)


def _reserve(services: Services, text: str | None) -> MediaId:
    from watermark import MediaId

    if text is None:
        return services.registry.reserve(secrets.token_bytes)
    media_id = MediaId.parse(text)
    services.registry.claim(media_id)
    return media_id


def _services() -> Services:
    from service.wiring import open_services

    return open_services(console.settings())


def _size(text: str) -> tuple[int | None, int | None]:
    if not text:
        return None, None
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise typer.BadParameter(f"{text!r}: write it as WIDTHxHEIGHT", param_hint="--size")
    return int(width), int(height)


@contextmanager
def _beside(output: Path) -> Iterator[Path]:
    """A folder on the same disk as `output`, so that the finished file appears there in one step."""
    try:
        folder = tempfile.mkdtemp(prefix=".assay-", dir=output.absolute().parent)
    except OSError as error:
        raise ConfigurationError(f"{output}: cannot be written: {error.strerror}") from error
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _reported() -> Iterator[None]:
    """What the rooms below refuse, as one line."""
    from generator import GeneratorError
    from guard import PolicyViolation
    from provenance import ProvenanceError
    from watermark import WatermarkError

    try:
        yield
    except PolicyViolation as violation:
        decision = violation.decision
        raise ConfigurationError(f"refused: {decision.user_text()} ({decision.reason})") from violation
    except (GeneratorError, ProvenanceError, WatermarkError) as error:
        raise ConfigurationError(str(error)) from error
    except OSError as error:
        name = os.fspath(error.filename) if error.filename else "the data folder"
        raise ConfigurationError(f"{name}: {error.strerror}") from error
