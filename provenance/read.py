"""Reading C2PA manifests from files of strangers. Nothing is fetched, and what is wrong in a file is a
finding."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import c2pa

from provenance import sdk
from provenance.codes import Failure, explain_code
from provenance.credentials import (
    Action,
    C2paReport,
    C2paState,
    Ingredient,
    Signer,
    SoftBinding,
)
from provenance.errors import ReadError
from provenance.manifest import RECORD_LABEL, binding_bytes
from provenance.sniff import sniff
from provenance.text import clean
from provenance.trust import CLAIM_URI, TrustAnchors

Json = dict[str, Any]

MAX_ITEMS: Final = 64
"""Actions, bindings, failures and ingredients kept of each manifest: more than any real one has."""
MAX_DEPTH: Final = 8
"""Generations of ingredients kept. The deepest public example has 4."""
MAX_JSON_CHARS: Final = 16 << 20
"""A report of this size is an attack: a manifest may have 8 MB, and real ones give 0.1 MB."""


@dataclass(frozen=True, slots=True)
class ReadBack:
    """A report and the manifest store bytes it was made from: what a signer registers."""

    report: C2paReport
    manifest: bytes


def read_manifest(path: Path, trust: TrustAnchors, *, identities: bool = False) -> C2paReport:
    """Read and validate the C2PA manifest of a file. Raises `ReadError` only where it cannot be opened.

    `identities` also validates CAWG identity assertions. Nothing is fetched for that either, so an identity
    whose keys are on a web page counts as failed and makes the manifest invalid: leave it off for verdicts.
    """
    return read_with_store(path, trust, identities=identities).report


def read_with_store(path: Path, trust: TrustAnchors, *, identities: bool = False) -> ReadBack:
    """As `read_manifest`, with the bytes of the manifest store (empty where there is none)."""
    try:
        with path.open("rb") as file:
            return _read_open(file, sdk.reader_settings(trust, identities=identities))
    except OSError as error:
        raise ReadError(f"{path}: cannot be read: {error.strerror}") from error


def _read_open(file: BinaryIO, settings: sdk.Settings) -> ReadBack:
    kind = sniff(file)
    if kind is None or not kind.carries_c2pa:
        name = "this kind of file" if kind is None else kind.name
        return ReadBack(
            C2paReport(C2paState.UNSUPPORTED, note=f"C2PA credentials are not read from {name}"), b""
        )
    try:
        with c2pa.Reader(None, file, context=sdk.context(settings)) as reader:
            return _report(reader)
    except c2pa.C2paError as error:
        return ReadBack(_from_error(error), b"")


def _from_error(error: c2pa.C2paError) -> C2paReport:
    """The library says by exception what other readers say by code; the remote case has no type of its
    own."""
    text = clean(str(error), 400)
    if isinstance(error, c2pa.C2paError.ManifestNotFound):
        return C2paReport(C2paState.ABSENT)
    if isinstance(error, c2pa.C2paError.NotSupported) or "asset could not be parsed" in text:
        return C2paReport(C2paState.UNSUPPORTED, note=text)
    if "remote manifest" in text:
        url = clean(text.rpartition(" url ")[2])
        return C2paReport(
            C2paState.ABSENT, failures=(explain_code("manifest.inaccessible"),), remote_url=url, note=text
        )
    return C2paReport(C2paState.INVALID, failures=(explain_code("general.error"),), note=text)


def _report(reader: c2pa.Reader) -> ReadBack:
    text = reader.json()
    if len(text) > MAX_JSON_CHARS:
        note = f"the manifest describes itself in {len(text)} characters"
        return ReadBack(
            C2paReport(C2paState.INVALID, failures=(explain_code("general.error"),), note=note), b""
        )
    store = json.loads(text)
    manifests = _map(store.get("manifests"))
    label = store.get("active_manifest") or ""
    active = _map(manifests.get(label))
    manifest = _store_bytes(reader, label)
    state = _state(store)
    ingredients = tuple(_ingredients(active, manifests, _ingredient_failures(store), MAX_DEPTH))
    actions = tuple(_actions(active))
    report = C2paReport(
        state=state,
        label=clean(label),
        manifest_sha256=hashlib.sha256(manifest).hexdigest(),
        title=clean(active.get("title")),
        generator=_generator(active),
        signer=_signer(active) if state is C2paState.TRUSTED else None,
        ai_source_type=_ai_source_type(actions, ingredients),
        bindings=tuple(_bindings(active)),
        actions=actions,
        ingredients=ingredients,
        failures=_failures(store),
        statements=tuple(_statements(active)),
    )
    return ReadBack(report, manifest)


def _state(store: Json) -> C2paState:
    """The library's state, except that only the claim list can make a claim trusted (see trust.py)."""
    stated = str(store.get("validation_state", "")).lower()
    if stated == "trusted":
        by_claim_list = _map(store.get("validation_results")).get("trustListUri") == CLAIM_URI
        return C2paState.TRUSTED if by_claim_list else C2paState.VALID
    return C2paState.VALID if stated == "valid" else C2paState.INVALID


def _store_bytes(reader: c2pa.Reader, label: str) -> bytes:
    """The library answers a manifest's own URI with the manifest store that ends in it, as JUMBF."""
    target = io.BytesIO()
    try:
        reader.resource_to_stream(f"self#jumbf=/c2pa/{label}", target)
    except c2pa.C2paError:
        return b""
    return target.getvalue()


def _failures(store: Json) -> tuple[Failure, ...]:
    results = _map(_map(store.get("validation_results")).get("activeManifest"))
    found = [_failure(entry) for entry in _list(results.get("failure"))[:MAX_ITEMS]]
    downgraded = (
        str(store.get("validation_state", "")).lower() == "trusted" and _state(store) is C2paState.VALID
    )
    return (*found, explain_code("signingCredential.untrusted")) if downgraded else tuple(found)


def _failure(entry: object) -> Failure:
    fields = _map(entry)
    return explain_code(str(fields.get("code", "general.error")), str(fields.get("url", "")))


def _ingredient_failures(store: Json) -> dict[str, tuple[Failure, ...]]:
    """Failures of ingredients by the label of the ingredient assertion."""
    found: dict[str, tuple[Failure, ...]] = {}
    for delta in _list(_map(store.get("validation_results")).get("ingredientDeltas"))[:MAX_ITEMS]:
        entry = _map(delta)
        label = str(entry.get("ingredientAssertionURI", "")).rpartition("/")[2]
        failures = _list(_map(entry.get("validationDeltas")).get("failure"))
        found[label] = tuple(_failure(failure) for failure in failures[:MAX_ITEMS])
    return found


def _ingredients(
    manifest: Json, manifests: Json, failures: dict[str, tuple[Failure, ...]], depth: int
) -> Iterator[Ingredient]:
    for entry in _list(manifest.get("ingredients"))[:MAX_ITEMS] if depth else ():
        fields = _map(entry)
        label = fields.get("active_manifest") or ""
        own = _map(manifests.get(label)) if isinstance(label, str) else {}
        inner = tuple(_ingredients(own, manifests, {}, depth - 1))
        stated = _ai_source_type(tuple(_actions(own)), inner)
        failed = failures.get(str(fields.get("label", "")), ()) or _own_failures(fields)
        yield Ingredient(
            title=clean(fields.get("title")),
            relationship=clean(fields.get("relationship")),
            label=clean(label),
            generator=_generator(own),
            ai_source_type=stated,
            failures=failed,
            ingredients=inner,
        )


def _own_failures(ingredient: Json) -> tuple[Failure, ...]:
    """What the signer of the outer manifest recorded about the ingredient when taking it in."""
    results = _map(_map(ingredient.get("validation_results")).get("activeManifest"))
    entries = _list(results.get("failure")) or _list(ingredient.get("validation_status"))
    return tuple(_failure(entry) for entry in entries[:MAX_ITEMS])


def _ai_source_type(actions: tuple[Action, ...], ingredients: tuple[Ingredient, ...]) -> str:
    own = [action.stated_ai for action in actions if action.stated_ai]
    # A reference that only guided the making does not say what the result is; a parent or a part does.
    inherited = [i.ai_source_type for i in ingredients if i.ai_source_type and i.relationship != "inputTo"]
    return next(iter(own + inherited), "")


def _actions(manifest: Json) -> Iterator[Action]:
    entries = [
        entry
        for assertion in _assertions(manifest, "c2pa.actions")
        for entry in _list(assertion.get("actions"))[:MAX_ITEMS]
    ]
    for entry in entries[:MAX_ITEMS]:
        fields = _map(entry)
        agent = fields.get("softwareAgent")
        yield Action(
            name=clean(fields.get("action")),
            source_type=clean(fields.get("digitalSourceType")).rpartition("/")[2],
            agent=clean(agent) or _name_version(_map(agent)),
            when=clean(fields.get("when")),
            description=clean(fields.get("description")),
        )


def _bindings(manifest: Json) -> Iterator[SoftBinding]:
    for assertion in _assertions(manifest, "c2pa.soft-binding"):
        for block in _list(assertion.get("blocks"))[:MAX_ITEMS]:
            value = binding_bytes(_map(block).get("value"))
            if value:
                yield SoftBinding(clean(assertion.get("alg")), value)


def _statements(manifest: Json) -> Iterator[tuple[str, str]]:
    """Our own assertion, flattened one level: ("policy.version", "3")."""
    for assertion in _assertions(manifest, RECORD_LABEL):
        for key, value in list(assertion.items())[:MAX_ITEMS]:
            if isinstance(value, dict):
                yield from (
                    (f"{clean(key)}.{clean(k)}", clean(v)) for k, v in list(value.items())[:MAX_ITEMS]
                )
            else:
                yield clean(key), clean(value)


def _signer(manifest: Json) -> Signer:
    info = _map(manifest.get("signature_info"))
    return Signer(
        organisation=clean(info.get("issuer")),
        common_name=clean(info.get("common_name")),
        serial=clean(info.get("cert_serial_number")),
        algorithm=clean(info.get("alg")),
        signed_at=_time(info.get("time")),
    )


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _generator(manifest: Json) -> str:
    info = _list(manifest.get("claim_generator_info"))
    return _name_version(_map(info[0])) if info else clean(manifest.get("claim_generator"))


def _name_version(fields: Json) -> str:
    return f"{clean(fields.get('name'))} {clean(fields.get('version'))}".strip()


def _assertions(manifest: Json, label: str) -> Iterator[Json]:
    """Data of the assertions with this label, whatever version (.v2) or instance (__1) suffix they carry."""
    for entry in _list(manifest.get("assertions"))[:MAX_ITEMS]:
        fields = _map(entry)
        base = str(fields.get("label", "")).partition("__")[0]
        if base == label or base.startswith(f"{label}.v"):
            yield _map(fields.get("data"))


def _map(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
