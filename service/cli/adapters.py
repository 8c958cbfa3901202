"""`assay adapters`: what an adapter file is, who vouches for it, and what it draws."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import console
from service.errors import ConfigurationError, ServiceError

if TYPE_CHECKING:
    from guard import Adapter
    from guard.trial import TrialVerdict
    from service.settings import Settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Files = Annotated[list[Path], typer.Argument(help="Adapter files (safetensors).", metavar="FILE...")]
_SHOWN_METADATA = 12


@app.command()
def inspect(
    files: Files,
    trial: Annotated[
        bool,
        typer.Option("--trial", help="Draw pictures with it (ASSAY_MODEL) and look for one person in them."),
    ] = False,
    pictures: Annotated[int, typer.Option(help="How many trial pictures.", min=4)] = 16,
    consent: Annotated[list[str] | None, typer.Option(help="A consent token; may be repeated.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON line per file.")] = False,
) -> int:
    """Say what each file is and whether the policy lets it in. Exit 0 all let in, 1 some not, 2 bad files."""
    from guard import GuardError, PolicyViolation, read_adapter

    settings, worst = console.settings(), console.FOUND
    for path in files:
        try:
            adapter = read_adapter(path, consents=tuple(consent or ()))
            verdict = _trial(settings, path, adapter, pictures) if trial else None
            row = _row(settings, path, adapter, verdict)
        except PolicyViolation as refusal:  # of a prompt that the adapter's own words call for
            rules = [f"{finding.rule_id}: {finding.title}" for finding in refusal.decision.findings]
            row = {"file": str(path), "sha256": adapter.sha256, "let_in": False, "reasons": rules}
        except (GuardError, ServiceError) as error:
            row = {"file": str(path), "let_in": False, "error": str(error)}
        worst = max(
            worst,
            console.BAD_INPUT if "error" in row else console.FOUND if row["let_in"] else console.NOTHING,
        )
        console.emit(row) if json else _show(row)
    return worst


def _row(settings: Settings, path: Path, adapter: Adapter, verdict: TrialVerdict | None) -> dict[str, Any]:
    from guard import GuardRequest, Stage, Text
    from service.wiring import adapter_intake, build_guard, utc_now

    intake = adapter_intake(settings)
    asked = GuardRequest(Stage.ADAPTER, (Text("adapter_title", path.name),), adapters=(adapter,))
    decision = build_guard(settings).evaluate(asked)
    known = intake.trials.verdicts(adapter.sha256) if intake.trials else ()
    return {
        "file": str(path), "sha256": adapter.sha256, "kind": adapter.kind.value, "tensors": adapter.tensors,
        "rank": adapter.rank, "signed": intake.signed(adapter.sha256, utc_now()),
        "trials": [
            {"outcome": str(one.outcome), "pictures": one.pictures, "alike": one.alike} for one in known
        ],
        "let_in": decision.allowed, "policy": decision.policy,
        "reasons": [f"{finding.rule_id}: {finding.title}" for finding in decision.findings],
        "metadata": {key: value[:200] for key, value in list(adapter.metadata.items())[:_SHOWN_METADATA]},
    }  # fmt: skip


def _show(row: dict[str, Any]) -> None:
    for name, value in row.items():
        print(f"{name}: {value}" if name == "file" else f"  {name}: {value}")


def _trial(settings: Settings, path: Path, adapter: Adapter, pictures: int) -> TrialVerdict:
    """Draw with and without the adapter, and keep what was seen. Raises `ServiceError` and `GuardError`."""
    import secrets

    from generator import GeneratorError, SafeGenerator
    from generator.trial import trial_pictures, with_adapter
    from guard.trial import Trial
    from service import identity
    from service.production import build_generator
    from service.wiring import adapter_intake, build_guard, open_services
    from watermark import Mark, MediaId

    reader = identity.face_reader(settings)
    if reader is None:
        raise ConfigurationError(
            "a trial compares faces: set ASSAY_FACE_EMBEDDER and run `assay faces calibrate`"
        )
    safe = build_generator(open_services(settings), settings.scratch, build_guard(settings))
    if not isinstance(safe, SafeGenerator):
        raise ConfigurationError(
            f"ASSAY_MODEL={settings.model} runs elsewhere; adapters are tried on local systems"
        )
    trial = Trial(reader, identity.calibration(settings), safe.system.digest, identity.gallery_of(settings))
    mark = Mark(safe.ring.subkey(0), MediaId.draw(secrets.token_bytes))
    try:
        with with_adapter(safe, path, adapter) as adapted:
            drawn = trial_pictures(adapted, mark, steps=settings.steps or None)
            seen = {}
            for prompt, seed in trial.asked(adapter, pictures):
                seen[prompt, seed] = drawn(prompt, seed)
        verdict = trial.judge(
            adapter,
            plain=trial_pictures(safe, mark, steps=settings.steps or None),
            adapted=lambda prompt, seed: seen[prompt, seed],
            pictures=pictures,
        )
    except GeneratorError as error:
        raise ServiceError(f"{path}: {error}") from error
    intake = adapter_intake(settings)
    if intake.trials is not None:
        intake.trials.keep(verdict)
    return verdict


@app.command()
def sign(
    files: Files,
    key: Annotated[Path, typer.Option("--key", help="The issuer's Ed25519 private key (PEM).")],
    issuer: Annotated[str, typer.Option(help="Who vouches, in words.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The manifest to write.", metavar="FILE")],
    days: Annotated[int | None, typer.Option(help="For how long; without end where left out.", min=1)] = None,
) -> int:
    """Vouch for adapters: write a signed manifest of their digests. Each file is checked first."""
    from guard import AdapterError, read_adapter
    from guard.adapter_manifest import AdapterManifest, VouchedAdapter, sign_manifest
    from service.cli.keyfiles import private_key
    from service.private import write_private
    from service.wiring import utc_now

    private, now, rows = private_key(key), utc_now(), []
    for path in files:
        try:
            adapter = read_adapter(path)
        except AdapterError as error:
            raise ServiceError(f"{path}: {error}") from error
        rows.append(VouchedAdapter(adapter.sha256, path.name, adapter.kind))
    until = None if days is None else now + timedelta(days=days)
    write_private(output, sign_manifest(AdapterManifest(issuer, now, tuple(rows), until), private).encode())
    print(f"{output}: {issuer} vouches for {len(rows)} adapters")
    return console.FOUND


@app.command()
def verify(
    manifest: Annotated[Path, typer.Argument(help="The manifest.", metavar="MANIFEST")],
    issuer: Annotated[Path, typer.Option("--issuer", help="Ed25519 public keys (PEM).", metavar="FILE")],
    files: Annotated[list[Path] | None, typer.Option("--file", help="An adapter; may be repeated.")] = None,
) -> int:
    """Check a manifest, and whether it names files. Exit 0 good, 1 a file is not named, 2 bad manifest."""
    from guard import GuardError, read_adapter
    from guard.adapter_manifest import read_manifest
    from service.wiring import public_keys, utc_now

    try:
        found = read_manifest(manifest.read_bytes(), public_keys("--issuer", issuer))
        digests = {path: read_adapter(path).sha256 for path in files or ()}
    except (OSError, GuardError) as error:
        raise ServiceError(f"{manifest}: {error}") from error
    print(
        f"{manifest}: {len(found.adapters)} adapters, signed by {found.issuer} at {found.issued_at:%F %T %Z}"
    )
    missing = [path for path, sha256 in digests.items() if not found.vouches_for(sha256, utc_now())]
    for path in missing:
        print(f"{path}: not named, or the manifest has ended")
    return console.NOTHING if missing else console.FOUND
