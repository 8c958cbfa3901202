"""`assay faces`: the gallery of protected people, and how sure its models are."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import console
from service.errors import ConfigurationError, ServiceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from guard.calibration import Calibration
    from guard.templates import FaceReader, Templates
    from service.settings import Settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Pictures = Annotated[list[Path], typer.Argument(help="Pictures of this person alone.", metavar="PICTURE...")]
Subject = Annotated[str, typer.Argument(help="A pseudonym, never a name.", metavar="PSEUDONYM")]
RATES = (1e-2, 1e-3, 1e-4, 1e-5)
"""Rates of wrong people per upload that `calibrate` looks at."""


@app.command()
def enrol(
    subject: Subject,
    pictures: Pictures,
    basis: Annotated[str, typer.Option(help="Why the template may be kept.")] = "self-enrolled",
) -> int:
    """Protect a person: rules with `face_matches` know them from now on."""
    from guard import GuardError
    from guard.gallery import Enrolled, new_gallery
    from service import identity, keys

    settings = console.settings()
    reader = _reader(settings)
    gallery = identity.gallery_of(settings)
    if gallery is not None and gallery.model_id != reader.model_id:
        raise ConfigurationError(
            f"the gallery belongs to {gallery.model_id}, and in use is {reader.model_id}"
        )
    try:
        for picture in pictures:
            person = Enrolled(subject, basis, reader.only_face(_pixels(picture)))
            if gallery is None:
                key = keys.gallery_key(settings)
                gallery = new_gallery([person], model_id=reader.model_id, key=key)
            else:
                gallery = gallery.with_person(person)
    except GuardError as error:
        raise ServiceError(f"{picture}: {error}") from error
    if gallery is not None:
        identity.write_gallery(settings, gallery)
        print(
            f"{subject}: {gallery.people[subject][1]} templates; {len(gallery.people)} people are protected"
        )
    return console.FOUND


@app.command()
def remove(subject: Subject) -> int:
    """Forget a person and every template of theirs."""
    from guard import GuardError
    from service import identity

    settings = console.settings()
    gallery = identity.gallery_of(settings)
    try:
        if gallery is None:
            raise ServiceError("nobody is enrolled")
        identity.write_gallery(settings, gallery.without(subject))
    except GuardError as error:
        raise ServiceError(str(error)) from error
    print(f"{subject}: forgotten")
    return console.FOUND


@app.command("list")
def list_(json: Annotated[bool, typer.Option("--json", help="One JSON line per person.")] = False) -> int:
    """Show who is protected, by pseudonym, and why. Exit 1 where nobody is."""
    from service import identity

    gallery = identity.gallery_of(console.settings())
    for subject, (basis, templates) in (gallery.people if gallery else {}).items():
        if json:
            console.emit({"subject": subject, "basis": basis, "templates": templates})
        else:
            print(f"{subject}: {basis}, {templates} templates")
    return console.FOUND if gallery else console.NOTHING


@app.command()
def calibrate(
    folder: Annotated[
        Path, typer.Argument(help="A folder with one folder of pictures for each person.", metavar="FOLDER")
    ],
    json: Annotated[bool, typer.Option("--json", help="One JSON line.")] = False,
) -> int:
    """Measure how similar strangers are under the models in use, and how often a person is known again.

    The people must be like those whose pictures will be uploaded, and be none of the protected ones. About
    1,000 people support 1 wrong person in 100,000 uploads against a gallery of 5,000.
    """
    import numpy as np

    from guard import GuardError
    from guard.calibration import Calibration
    from service import identity
    from service.private import write_private

    settings = console.settings()
    reader = _reader(settings)
    rows, people, skipped = _templates(reader, folder)
    if len(rows) < 2:
        raise ServiceError(
            f"{folder} shows fewer than two faces; it needs a folder of pictures for each person"
        )
    pairs = np.array(list(combinations(range(len(rows)), 2)))
    alike = np.einsum("ij,ij->i", rows[pairs[:, 0]], rows[pairs[:, 1]])
    same = people[pairs[:, 0]] == people[pairs[:, 1]]
    try:
        found = Calibration.measure(reader.model_id, alike[~same])
    except GuardError as error:
        raise ServiceError(str(error)) from error
    path = settings.faces / identity.CALIBRATION_FILE
    write_private(path, found.to_json().encode())
    report = {
        "model": reader.model_id, "people": int(people.max()) + 1, "faces": len(rows), "skipped": skipped,
        "comparisons_of_strangers": int((~same).sum()), "comparisons_of_one_person": int(same.sum()),
        "missed_at_rate": {f"{rate:g}": _missed(found, rate, alike[same].tolist()) for rate in RATES},
    }  # fmt: skip
    if json:
        console.emit(report)
    else:
        print(f"{path}\n" + "\n".join(f"{name}: {value}" for name, value in report.items()))
    return console.FOUND


def _missed(found: Calibration, rate: float, same: list[float]) -> float | None:
    """Share of pairs of one person that are not known, one template enrolled; None: not supported."""
    from guard import GuardError

    try:
        threshold = found.threshold(rate, comparisons=1)
    except GuardError:
        return None
    return sum(value < threshold for value in same) / len(same) if same else None


@app.command()
def check(
    picture: Annotated[Path, typer.Argument(help="A picture.", metavar="PICTURE")],
    rate: Annotated[float, typer.Option(help="Wrong people per upload, at most.")] = 1e-5,
) -> int:
    """Say which protected people a picture shows: for operators, never for users. Exit 1 where none."""
    from guard import GuardError
    from service import identity

    settings = console.settings()
    matcher = identity.people(settings, identity.face_detector(settings))
    if matcher is None:
        raise ServiceError("nobody is enrolled")
    try:
        faces = matcher.shown(_pixels(picture), wrong_person_at_most=rate)
    except GuardError as error:
        raise ServiceError(f"{picture}: {error}") from error
    known = sorted(frozenset().union(*faces))
    console.emit({"faces": len(faces), "protected": known})
    return console.FOUND if known else console.NOTHING


def _reader(settings: Settings) -> FaceReader:
    from service import identity

    reader = identity.face_reader(settings)
    if reader is None:
        raise ConfigurationError(
            "ASSAY_FACE_EMBEDDER is not set: the path of SFace (ONNX) or InceptionResnetV1"
        )
    return reader


def _pixels(path: Path) -> NDArray[np.uint8]:
    from guard import Picture

    return Picture.from_file("enrolment", path).pixels


def _templates(reader: FaceReader, folder: Path) -> tuple[Templates, NDArray[np.int_], int]:
    """Templates [faces, dimensions], the number of the person of each, and how many pictures were skipped."""
    import numpy as np

    from guard import GuardError

    rows, people, skipped = [], [], 0
    for number, person in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
        for picture in sorted(person.iterdir()):
            try:
                rows.append(reader.only_face(_pixels(picture)))
                people.append(number)
            except GuardError:
                skipped += 1
    return np.array(rows, np.float32), np.array(people), skipped
