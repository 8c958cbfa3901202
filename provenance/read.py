"""Reading C2PA manifests from files of strangers. Nothing is fetched, and what is wrong in a file is a
finding."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

import c2pa

from provenance import sdk
from provenance.chain import Chain, Chains, any_ends_in, chains_of, ends_in
from provenance.codes import Failure, by_gravity, explain_code
from provenance.credentials import C2paReport, C2paState, Signer
from provenance.errors import ReadError
from provenance.sniff import sniff
from provenance.statements import (
    MAX_ITEMS,
    Json,
    actions_of,
    ai_source_type_of,
    as_list,
    as_map,
    bindings_of,
    failure_of,
    generator_of,
    ingredient_failures,
    ingredients_of,
    signer_of,
    statements_of,
)
from provenance.text import clean
from provenance.trust import TrustAnchors

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
        with path.open("rb", sdk.STREAM_BUFFER_BYTES) as file:
            return _read_open(file, trust, identities=identities)
    except OSError as error:
        raise ReadError(f"{path}: cannot be read: {error.strerror}") from error


def _read_open(file: BinaryIO, trust: TrustAnchors, *, identities: bool) -> ReadBack:
    kind = sniff(file)
    if kind is None or not kind.carries_c2pa:
        name = "this kind of file" if kind is None else kind.name
        return ReadBack(
            C2paReport(C2paState.UNSUPPORTED, note=f"C2PA credentials are not read from {name}"), b""
        )
    try:
        with c2pa.Reader(
            None, file, context=sdk.context(sdk.reader_settings(trust, identities=identities))
        ) as reader:
            return _report(reader, trust)
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


def _report(reader: c2pa.Reader, trust: TrustAnchors) -> ReadBack:
    text = reader.json()
    if len(text) > MAX_JSON_CHARS:
        note = f"the manifest describes itself in {len(text)} characters"
        return ReadBack(
            C2paReport(C2paState.INVALID, failures=(explain_code("general.error"),), note=note), b""
        )
    store = json.loads(text)
    manifests = as_map(store.get("manifests"))
    label = store.get("active_manifest") or ""
    active = as_map(manifests.get(label))
    manifest = _store_bytes(reader, label)
    chains = chains_of(manifest, label)
    standing = _standing(store, chains, trust)
    ingredients = tuple(ingredients_of(active, manifests, ingredient_failures(store), MAX_DEPTH))
    actions = tuple(actions_of(active))
    report = C2paReport(
        state=standing.state,
        label=clean(label),
        manifest_sha256=hashlib.sha256(manifest).hexdigest(),
        title=clean(active.get("title")),
        generator=generator_of(active),
        signer=_signer(active, standing),
        ai_source_type=ai_source_type_of(actions, ingredients),
        bindings=tuple(bindings_of(active)),
        actions=actions,
        ingredients=ingredients,
        failures=by_gravity((*_failures(store), *standing.added)),
        statements=tuple(statements_of(active)),
        own_authority=standing.state is C2paState.VALID and ends_in(chains.signer, trust.own),
    )
    return ReadBack(report, manifest)


def _signer(active: Json, standing: _Standing) -> Signer | None:
    """Who signed, where that is known; the time only by a stamp of the time-stamp list."""
    if standing.state is not C2paState.TRUSTED:
        return None
    signer = signer_of(active)
    return signer if standing.stamp_holds else replace(signer, signed_at=None)


@dataclass(frozen=True, slots=True)
class _Standing:
    """What counts of the library's answer, and the failures that are added to it."""

    state: C2paState
    added: tuple[Failure, ...] = ()
    stamp_holds: bool = False


def _standing(store: Json, chains: Chains, trust: TrustAnchors) -> _Standing:
    """The library's state, rechecked: it lets any list vouch for any signature (see chain.py)."""
    stated = str(store.get("validation_state", "")).lower()
    if stated not in ("valid", "trusted"):
        return _Standing(C2paState.INVALID)
    if stated == "valid":
        return _Standing(C2paState.VALID)
    if not ends_in(chains.signer, trust.claim):
        return _Standing(C2paState.VALID, (explain_code("signingCredential.untrusted"),))
    stamp_holds = any_ends_in(chains.stamp, trust.tsa)
    if not stamp_holds and _has_expired(chains.signer):
        return _Standing(C2paState.INVALID, (explain_code("signingCredential.expired"),))
    return _Standing(C2paState.TRUSTED, stamp_holds=stamp_holds)


def _has_expired(chain: Chain) -> bool:
    """By the machine's clock, as the library judges it: no caller can give it another."""
    return bool(chain) and chain[0].not_valid_after_utc < datetime.now(UTC)


def _store_bytes(reader: c2pa.Reader, label: str) -> bytes:
    """The library answers a manifest's own URI with the manifest store that ends in it, as JUMBF."""
    target = io.BytesIO()
    try:
        reader.resource_to_stream(f"self#jumbf=/c2pa/{label}", target)
    except c2pa.C2paError:
        return b""
    return target.getvalue()


def _failures(store: Json) -> tuple[Failure, ...]:
    results = as_map(as_map(store.get("validation_results")).get("activeManifest"))
    return tuple(failure_of(entry) for entry in as_list(results.get("failure"))[:MAX_ITEMS])
