"""`assay reproduce`: make a released file again, and say whether bytes or pictures match."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer

from service.cli import console
from service.errors import ConfigurationError


def reproduce(
    media_id: Annotated[str, typer.Argument(help="12 hexadecimal digits.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")] = False,
) -> int:
    """Run a finished job again. Exit 0 when the bytes or the pictures match, 1 when neither does."""
    from generator import SafeGenerator
    from generator.reproduce import Likeness
    from generator.reproduce import reproduce as run_again
    from service.production import build_generator, request_of
    from service.wiring import open_services
    from watermark import MediaId

    services = open_services(console.settings())
    medium = MediaId.parse(media_id)
    record, job = services.registry.by_media_id(medium), services.jobs.of_medium(medium)
    if record is None or job is None or job.result is None:
        raise ConfigurationError(f"{media_id}: no finished job made this file, or its request was deleted")
    name = str(job.result["file"])
    maker = build_generator(services, services.settings.scratch / f"again-{media_id}")
    if not isinstance(maker, SafeGenerator) or maker.system.spec.name != job.model:
        raise ConfigurationError(f"{media_id} was made by {job.model}; set ASSAY_MODEL to it")
    with ExitStack() as stack, console.progress_bar("reproduce") as progress:
        there = services.media.size(name) is not None
        file = stack.enter_context(services.media.local(name)) if there else None
        found = run_again(
            maker,
            request_of(job),
            record,
            released=file,
            progress=progress,
        )
    row = {
        "id": media_id,
        "match": str(found.likeness),
        "differs": list(found.differs),
        "psnr": found.psnr if found.psnr != float("inf") else None,
    }
    if json:
        console.emit(row)
    else:
        said = f"; not as recorded: {', '.join(found.differs)}" if found.differs else ""
        print(f"{media_id}: {_WORDS[str(found.likeness)]}{said}")
    return console.NOTHING if found.likeness is Likeness.NEITHER else console.FOUND


_WORDS = {
    "bytes": "the same bytes came again",
    "pictures": "other bytes, the pictures match",
    "neither": "neither the bytes nor the pictures match",
}
