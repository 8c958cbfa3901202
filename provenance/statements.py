"""From the C2PA library's JSON to plain, clean, bounded values."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from provenance.codes import Failure, explain_code
from provenance.credentials import Action, Ingredient, Signer, SoftBinding
from provenance.manifest import RECORD_LABEL, binding_bytes
from provenance.text import clean

Json = dict[str, Any]

MAX_ITEMS: Final = 64
"""Actions, bindings, failures and ingredients kept of each manifest: more than any real one has."""


def failure_of(entry: object) -> Failure:
    fields = as_map(entry)
    return explain_code(str(fields.get("code", "general.error")), str(fields.get("url", "")))


def ingredient_failures(store: Json) -> dict[str, tuple[Failure, ...]]:
    """Failures of ingredients by the label of the ingredient assertion."""
    found: dict[str, tuple[Failure, ...]] = {}
    for delta in as_list(as_map(store.get("validation_results")).get("ingredientDeltas"))[:MAX_ITEMS]:
        entry = as_map(delta)
        label = str(entry.get("ingredientAssertionURI", "")).rpartition("/")[2]
        failures = as_list(as_map(entry.get("validationDeltas")).get("failure"))
        found[label] = tuple(failure_of(failure) for failure in failures[:MAX_ITEMS])
    return found


def ingredients_of(
    manifest: Json, manifests: Json, failures: dict[str, tuple[Failure, ...]], depth: int
) -> Iterator[Ingredient]:
    for entry in as_list(manifest.get("ingredients"))[:MAX_ITEMS] if depth else ():
        fields = as_map(entry)
        label = fields.get("active_manifest") or ""
        own = as_map(manifests.get(label)) if isinstance(label, str) else {}
        inner = tuple(ingredients_of(own, manifests, {}, depth - 1))
        stated = ai_source_type_of(tuple(actions_of(own)), inner)
        failed = failures.get(str(fields.get("label", "")), ()) or _own_failures(fields)
        yield Ingredient(
            title=clean(fields.get("title")),
            relationship=clean(fields.get("relationship")),
            label=clean(label),
            generator=generator_of(own),
            ai_source_type=stated,
            failures=failed,
            ingredients=inner,
        )


def _own_failures(ingredient: Json) -> tuple[Failure, ...]:
    """What the signer of the outer manifest recorded about the ingredient when taking it in."""
    results = as_map(as_map(ingredient.get("validation_results")).get("activeManifest"))
    entries = as_list(results.get("failure")) or as_list(ingredient.get("validation_status"))
    return tuple(failure_of(entry) for entry in entries[:MAX_ITEMS])


def ai_source_type_of(actions: tuple[Action, ...], ingredients: tuple[Ingredient, ...]) -> str:
    own = [action.stated_ai for action in actions if action.stated_ai]
    # A reference that only guided the making does not say what the result is; a parent or a part does.
    inherited = [i.ai_source_type for i in ingredients if i.ai_source_type and i.relationship != "inputTo"]
    return next(iter(own + inherited), "")


def actions_of(manifest: Json) -> Iterator[Action]:
    entries = [
        entry
        for assertion in _assertions(manifest, "c2pa.actions")
        for entry in as_list(assertion.get("actions"))[:MAX_ITEMS]
    ]
    for entry in entries[:MAX_ITEMS]:
        fields = as_map(entry)
        agent = fields.get("softwareAgent")
        yield Action(
            name=clean(fields.get("action")),
            source_type=clean(fields.get("digitalSourceType")).rpartition("/")[2],
            agent=clean(agent) or _name_version(as_map(agent)),
            when=clean(fields.get("when")),
            description=clean(fields.get("description")),
        )


def bindings_of(manifest: Json) -> Iterator[SoftBinding]:
    for assertion in _assertions(manifest, "c2pa.soft-binding"):
        for block in as_list(assertion.get("blocks"))[:MAX_ITEMS]:
            value = binding_bytes(as_map(block).get("value"))
            if value:
                yield SoftBinding(clean(assertion.get("alg")), value)


def statements_of(manifest: Json) -> Iterator[tuple[str, str]]:
    """Our own assertion, flattened one level: ("policy.version", "3")."""
    for assertion in _assertions(manifest, RECORD_LABEL):
        for key, value in list(assertion.items())[:MAX_ITEMS]:
            if isinstance(value, dict):
                yield from (
                    (f"{clean(key)}.{clean(k)}", clean(v)) for k, v in list(value.items())[:MAX_ITEMS]
                )
            else:
                yield clean(key), clean(value)


def signer_of(manifest: Json) -> Signer:
    info = as_map(manifest.get("signature_info"))
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


def generator_of(manifest: Json) -> str:
    info = as_list(manifest.get("claim_generator_info"))
    return _name_version(as_map(info[0])) if info else clean(manifest.get("claim_generator"))


def _name_version(fields: Json) -> str:
    return f"{clean(fields.get('name'))} {clean(fields.get('version'))}".strip()


def _assertions(manifest: Json, label: str) -> Iterator[Json]:
    """Data of the assertions with this label, whatever version (.v2) or instance (__1) suffix they carry."""
    for entry in as_list(manifest.get("assertions"))[:MAX_ITEMS]:
        fields = as_map(entry)
        base = str(fields.get("label", "")).partition("__")[0]
        if base == label or base.startswith(f"{label}.v"):
            yield as_map(fields.get("data"))


def as_map(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
