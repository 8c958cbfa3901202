"""The Soft Binding Resolution API 2.2: its own description asks the questions, and checks the answers."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
import skimage.data
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provenance import (
    Agent,
    ManifestFacts,
    Record,
    SigningKey,
    TrustAnchors,
    create_dev_authority,
    fingerprint_media,
    sign_asset,
)
from provenance.fingerprint import Fingerprint, Sample
from provenance.manifest import SOFT_BINDING_ALG
from service import keys
from service.api.app import create_app
from service.api.soft_binding import FINGERPRINT_ALG
from service.serve import build_state
from service.settings import Settings
from service.store.database import Database
from service.store.records import SqlRegistry
from service.store.similar import SimilarMedia
from service.wiring import Services, open_services
from tests.service.conftest import Clock
from watermark import MediaId, open_media, write_image

DESCRIPTION = (
    Path(__file__).parents[2].parent / "shared" / "data" / "c2pa" / "soft-binding-resolution-2.2.openapi.json"
)
PHOTO = np.ascontiguousarray(skimage.data.chelsea())
OTHER = np.ascontiguousarray(skimage.data.coffee())


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    made = Settings(home=tmp_path_factory.mktemp("home"))
    keys.create_keys(made.keys, now=datetime.now(UTC))
    return open_services(made)


@pytest.fixture(scope="module")
def api(services: Services) -> TestClient:
    return TestClient(create_app(build_state(services)), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def record(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """A signed picture in the registry; not marked, so that only its looks can find it."""
    folder, now = tmp_path_factory.mktemp("files"), datetime.now(UTC)
    write_image(folder / "a.png", PHOTO)
    authority = create_dev_authority(folder / "dev", now=now)
    key = SigningKey.from_files(authority.chain, authority.key)
    facts = ManifestFacts(
        title="cat", mime="image/png", media_id=MediaId(7), created_at=now, generator=Agent("a", "1")
    )
    signed = sign_asset(folder / "a.png", folder / "b.png", facts, key, trust=TrustAnchors())
    made = Record(
        media_id=MediaId(7),
        key_id="0.0",
        manifest_label=signed.label,
        manifest=signed.manifest,
        fingerprint=fingerprint_media(open_media(signed.path)),
        created_at=now,
        tenant="ada",
        file_sha256=signed.sha256,
    )
    services.registry.claim(made.media_id)
    services.registry.add(made)
    return made


def _picture(frame: Any, suffix: str = ".jpg") -> bytes:
    done, data = cv2.imencode(suffix, cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    assert done
    return bytes(data.tobytes())


def test_a_copy_without_mark_and_manifest_is_found_by_its_looks(api: TestClient, record: Record) -> None:
    small = cv2.resize(PHOTO[:, ::-1], (300, 200), interpolation=cv2.INTER_AREA)
    answer = api.post(
        "/v1/matches/byContent", content=_picture(small), headers={"content-type": "image/jpeg"}
    )
    assert answer.status_code == 200
    (match,) = answer.json()["matches"]
    assert match["manifestId"] == record.manifest_label
    assert match["similarityScore"] > 0
    other = api.post("/v1/matches/byContent", content=_picture(OTHER), headers={"content-type": "image/jpeg"})
    assert other.json() == {"matches": []}


def test_by_the_value_of_the_mark_and_of_the_hash(api: TestClient, record: Record) -> None:
    assert record.fingerprint is not None
    values = {
        SOFT_BINDING_ALG: record.media_id.value.to_bytes(6, "big"),
        FINGERPRINT_ALG: record.fingerprint.samples[0].pdq,
    }
    for alg, value in values.items():
        asked = {"alg": alg, "value": base64.b64encode(value).decode()}
        found = api.get("/v1/matches/byBinding", params=asked).json()
        assert found == api.post("/v1/matches/byBinding", json=asked).json()
        assert found["matches"][0]["manifestId"] == record.manifest_label


def test_wrong_questions_have_the_documented_answers(api: TestClient, record: Record) -> None:
    value = base64.b64encode(bytes(6)).decode()
    asked = {"alg": SOFT_BINDING_ALG, "value": value}
    assert api.get("/v1/matches/byBinding", params={**asked, "value": "A" * 2000}).status_code == 414
    assert api.get("/v1/matches/byBinding", params={**asked, "maxResults": 0}).status_code == 400
    assert api.get("/v1/matches/byBinding", params={"alg": SOFT_BINDING_ALG}).status_code == 400
    assert api.get("/v1/matches/byBinding", params={**asked, "alg": FINGERPRINT_ALG}).status_code == 400
    text = api.post("/v1/matches/byContent", content=b"hello", headers={"content-type": "text/plain"})
    assert text.status_code == 415
    assert api.post("/v1/matches/byContent", content=b"x", headers={"content-type": "x"}).status_code == 415


def test_the_active_manifest_alone_or_the_whole_store(api: TestClient, record: Record) -> None:
    path = f"/v1/manifests/{record.manifest_label}"
    whole, active = api.get(path), api.get(path, params={"returnActiveManifest": "true"})
    assert whole.content == record.manifest
    assert active.content == record.manifest  # it has no ingredients, so it is all there is
    assert active.headers["content-type"] == "application/c2pa"


def test_revoked_media_are_not_found_any_more(
    services: Services, api: TestClient, tmp_path: Path, record: Record
) -> None:
    write_image(tmp_path / "a.png", np.ascontiguousarray(OTHER[::-1]))
    gone = replace(
        record,
        media_id=MediaId(8),
        manifest_label="urn:c2pa:gone",
        fingerprint=fingerprint_media(open_media(tmp_path / "a.png")),
    )
    services.registry.claim(gone.media_id)
    services.registry.add(gone)
    assert gone.fingerprint is not None
    pdq = gone.fingerprint.samples[0].pdq
    asked = {"alg": FINGERPRINT_ALG, "value": base64.b64encode(pdq).decode()}
    before = api.get("/v1/matches/byBinding", params=asked).json()["matches"]
    services.registry.revoke(gone.media_id)
    after = api.get("/v1/matches/byBinding", params=asked).json()["matches"]
    assert ([match["manifestId"] for match in before], after) == (["urn:c2pa:gone"], [])
    assert api.get("/v1/manifests/urn:c2pa:gone").status_code == 404


@pytest.mark.skipif(not DESCRIPTION.exists(), reason=f"no OpenAPI description at {DESCRIPTION}")
class TestGeneratedRequests:
    """Requests drawn from the official description; answers must be ones that it lists, in its shapes."""

    described: dict[str, Any] = json.loads(DESCRIPTION.read_text()) if DESCRIPTION.exists() else {}

    @pytest.mark.parametrize(
        ("path", "method"),
        [(path, method) for path, methods in described.get("paths", {}).items() for method in methods],
    )
    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def test_answers_are_documented(
        self, path: str, method: str, data: st.DataObject, api: TestClient, record: Record
    ) -> None:
        operation = self.described["paths"][path][method]
        where, query = path, {}
        for parameter in operation.get("parameters", []):
            value = data.draw(_values(parameter, str(record.manifest_label)))
            if parameter["in"] == "path":
                where = where.replace("{" + parameter["name"] + "}", value or "x")
            elif parameter.get("required") or data.draw(st.booleans()):
                query[parameter["name"]] = value
        body: dict[str, Any] = {}
        if "application/json" in (operation.get("requestBody") or {}).get("content", {}):
            body["json"] = {"value": data.draw(_bindings), "alg": data.draw(_algorithms)}
        elif "requestBody" in operation:
            kind = data.draw(st.sampled_from(["image/png", "video/mp4", "text/plain", "application/c2pa"]))
            body = {"content": data.draw(st.binary(max_size=64)), "headers": {"content-type": kind}}
        answer = api.request(method, "/v1" + where, params=query, **body)
        documented = {int(status) for status in operation["responses"]}
        assert answer.status_code in documented - {500}, answer.text
        if answer.status_code == 200 and "json" in answer.headers["content-type"]:
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            name = schema["$ref"].rpartition("/")[2]
            jsonschema.validate(answer.json(), _without_contradiction(self.described, name))


_bindings = st.one_of(
    st.binary(max_size=40).map(lambda value: base64.b64encode(value).decode()),
    st.just(base64.b64encode((7).to_bytes(6, "big")).decode()),
    st.text(max_size=20),
)
_algorithms = st.sampled_from([SOFT_BINDING_ALG, FINGERPRINT_ALG, "com.example.other.1", ""])


def _values(parameter: dict[str, Any], label: str) -> st.SearchStrategy[Any]:
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "value": _bindings,
        "alg": _algorithms,
        "hintAlg": _algorithms,
        "hintValue": _bindings,
        "maxResults": st.integers(1, 200),
        "returnActiveManifest": st.sampled_from(["true", "false"]),
        "manifestId": st.one_of(st.just(label), st.text("abc:-9", min_size=1, max_size=20)),
    }
    return kinds[parameter["name"]]


def _without_contradiction(description: dict[str, Any], name: str) -> dict[str, Any]:
    """The schema, less a `oneOf` that asks each algorithm's entry for the lists it is an entry of."""
    schema: dict[str, Any] = json.loads(json.dumps(description["components"]["schemas"][name]))
    for entry in schema["properties"].values():
        entry.get("items", {}).pop("oneOf", None)
    return schema


def test_the_index_finds_what_is_near_and_learns_what_is_new(database: Database, clock: Clock) -> None:
    registry, rng = SqlRegistry(database, clock=clock), np.random.default_rng(4)
    similar = SimilarMedia(database)
    hashes = [rng.bytes(32) for _ in range(60)]
    assert similar.search(hashes, 5) == []
    for number, pdq in enumerate(hashes, 1):
        looks = Fingerprint(64, 64, 64, 64, (Sample(0, bytes(64 * 64), pdq, 100),))
        registry.claim(MediaId(number))
        registry.add(
            Record(
                media_id=MediaId(number),
                key_id="0.0",
                manifest_label=f"urn:c2pa:{number}",
                manifest=b"m",
                fingerprint=looks,
                created_at=datetime.now(UTC),
                tenant="ada",
            )
        )
        if number % 20 == 0:
            near = bytearray(pdq)
            near[3] ^= 0b10110
            (found,) = similar.search([bytes(near)], 5)
            assert (found.media_id, found.distance) == (MediaId(number), 3)
    far = bytes(byte ^ 0x0F for byte in hashes[0])
    assert similar.search([far], 5) == []
    assert similar.search([], 5) == []
