"""Faces, consents and adapters as operators handle them: through commands, files and the guard in service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from PIL import Image
from safetensors.numpy import save

from guard import GuardRequest, Picture, Stage
from guard.calibration import Calibration
from service import identity
from service.cli.app import run
from service.errors import ConfigurationError
from service.private import write_private
from service.settings import Settings
from service.wiring import build_guard
from tests.guard import tiny_faces
from tests.guard.test_adapter_intake import POLICY as ADAPTER_POLICY
from tests.guard.test_gallery import ANY_FACE, POLICY

ADA, BOB = 1, 2


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_faces.yunet(folder / "yunet.onnx")
    tiny_faces.sface(folder / "sface.onnx")
    for who in range(100, 154):
        for shot in range(1 + (who < 104)):
            picture(folder / "strangers" / str(who) / f"{shot}.png", who, noise=shot * who)
    picture(folder / "strangers" / "100" / "crowd.png", 3, 4)  # skipped
    return folder


@pytest.fixture
def home(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ASSAY_FACE_DETECTOR", str(models / "yunet.onnx"))
    monkeypatch.setenv("ASSAY_FACE_EMBEDDER", str(models / "sface.onnx"))
    assert run(["keys", "init"]) == 0
    return tmp_path / "home"


def picture(path: Path, *people: int, noise: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(tiny_faces.scene(*people, noise=noise)).save(path)
    return path


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


def settings() -> Settings:
    import os

    return Settings.from_env(os.environ)


def key_files(folder: Path) -> tuple[Path, Path]:
    key = Ed25519PrivateKey.generate()
    private, public = folder / "issuer.key", folder / "issuer.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def test_from_enrolment_to_a_refusal_and_a_consent(
    home: Path,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ada, again = picture(tmp_path / "ada.png", ADA), picture(tmp_path / "again.png", ADA, noise=5)
    assert run(["faces", "calibrate", str(models / "strangers"), "--json"]) == 0
    report = said(capsys)
    assert (report["people"], report["faces"], report["skipped"]) == (54, 58, 1)
    assert report["missed_at_rate"]["0.01"] == 0.0
    assert run(["faces", "list"]) == 1
    assert run(["faces", "enrol", "p-17", str(ada), "--basis", "victim request"]) == 0
    assert run(["faces", "list", "--json"]) == 0
    assert said(capsys) == {"subject": "p-17", "basis": "victim request", "templates": 1}
    sealed = (home / "faces" / "gallery").read_bytes()
    assert b"p-17" not in sealed
    assert (home / "faces" / "gallery").stat().st_mode & 0o777 == 0o600
    assert run(["faces", "check", str(again), "--rate", "0.001"]) == 0
    assert said(capsys) == {"faces": 1, "protected": ["p-17"]}
    assert run(["faces", "check", str(picture(tmp_path / "bob.png", BOB)), "--rate", "0.001"]) == 1

    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    private, public = key_files(tmp_path)
    monkeypatch.setenv("ASSAY_POLICY", str(policy))
    monkeypatch.setenv("ASSAY_CONSENT_ISSUERS", str(public))
    assert run(["consents", "issue", "p-17", "--key", str(private), "--face"]) == 0
    consent = said(capsys)
    guard = build_guard(settings())

    def allowed(path: Path, *tokens: str) -> bool:
        shown = Picture.from_file("reference", path, consents=tokens)
        return guard.evaluate(GuardRequest(Stage.REFERENCE, pictures=(shown,))).allowed

    assert guard.missing_backends() == ()
    assert allowed(tmp_path / "bob.png")
    assert not allowed(again)
    assert allowed(again, consent["token"])  # another file than the one enrolled
    assert run(["consents", "revoke", consent["id"]]) == 0
    assert not allowed(again, consent["token"])  # at once

    assert run(["faces", "remove", "p-17"]) == 0
    assert not (home / "faces" / "gallery").exists()
    assert run(["faces", "remove", "p-17"]) == 2


def test_a_gallery_that_cannot_be_used_stops_the_service(
    home: Path,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["faces", "enrol", "p-1", str(picture(tmp_path / "ada.png", ADA))]) == 0
    with pytest.raises(ConfigurationError, match="assay faces calibrate"):
        build_guard(settings())
    monkeypatch.setenv("ASSAY_FACE_EMBEDDER", str(tiny_faces.sface(tmp_path / "other.onnx", seed=1)))
    assert run(["faces", "enrol", "p-2", str(tmp_path / "ada.png")]) == 2
    assert "the gallery belongs to" in capsys.readouterr().err
    monkeypatch.delenv("ASSAY_FACE_EMBEDDER")
    with pytest.raises(ConfigurationError, match="nobody is known"):
        build_guard(settings())
    (home / "keys" / "master.key").write_text("00" * 32)
    with pytest.raises(ConfigurationError, match="another key"):
        identity.gallery_of(settings())
    monkeypatch.setenv("ASSAY_FACE_DETECTOR", str(tmp_path / "none.onnx"))
    with pytest.raises(ConfigurationError, match="ASSAY_FACE_DETECTOR"):
        build_guard(settings())


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["faces", "enrol", "p-1", "{none}"], "cannot be read"),
        (["faces", "enrol", "p-1", "{crowd}"], "shows 2 faces"),
        (["faces", "calibrate", "{folder}"], "fewer than two faces"),
        (["consents", "issue", "p-1", "--key", "{none}", "--face"], "No such file"),
        (["consents", "issue", "p-1", "--key", "{none}"], "--copies-of"),
        (["consents", "revoke", ""], "give the id"),
        (
            ["adapters", "sign", "{crowd}", "--key", "{key}", "--issuer", "me", "-o", "{out}"],
            "not safetensors|header",
        ),
        (["adapters", "verify", "{crowd}", "--issuer", "{crowd}"], "holds no"),
    ],
)
def test_bad_input_is_said(
    arguments: list[str], reason: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    names = {
        "none": tmp_path / "none", "crowd": picture(tmp_path / "p" / "crowd.png", 3, 4), "folder": tmp_path,
        "key": key_files(tmp_path)[0], "out": tmp_path / "out.json",
    }  # fmt: skip
    assert run([argument.format(**names) for argument in arguments]) == 2
    assert re.search(reason, capsys.readouterr().err)


def test_a_consent_for_copies_goes_through_the_service(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, (private, public) = tmp_path / "policy.yaml", key_files(tmp_path)
    policy.write_text(ANY_FACE)
    monkeypatch.setenv("ASSAY_POLICY", str(policy))
    monkeypatch.setenv("ASSAY_CONSENT_ISSUERS", str(public))
    ada = picture(tmp_path / "ada.png", ADA)
    assert run(["consents", "issue", "p", "--key", str(private), "--copies-of", str(ada), "--days", "2"]) == 0
    token = said(capsys)["token"]
    saved_again = tmp_path / "ada.jpg"
    Image.open(ada).save(saved_again, quality=90)
    guard = build_guard(settings())
    for path, tokens, allowed in ((saved_again, (token,), True), (saved_again, (), False),
                                  (picture(tmp_path / "bob.png", BOB), (token,), False)):  # fmt: skip
        shown = Picture.from_file("reference", path, consents=tokens)
        assert guard.evaluate(GuardRequest(Stage.REFERENCE, pictures=(shown,))).allowed is allowed


# ---------------------------------------------------------------- adapters


def adapter_file(path: Path, note: str = "boats") -> Path:
    path.write_bytes(save({"x.lora_A.weight": np.zeros((4, 8), np.float32)}, {"ss_output_name": note}))
    return path


def test_adapters_are_inspected_signed_and_let_in(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (policy, (private, public)), style = (
        (tmp_path / "policy.yaml", key_files(tmp_path)),
        tmp_path / "a.safetensors",
    )
    policy.write_text(ADAPTER_POLICY.split("  - id: likeness")[0])
    monkeypatch.setenv("ASSAY_POLICY", str(policy))
    monkeypatch.setenv("ASSAY_ADAPTER_ISSUERS", str(public))
    adapter_file(style)
    assert run(["adapters", "inspect", str(style), "--json"]) == 1
    row = said(capsys)
    assert (row["kind"], row["rank"], row["signed"], row["let_in"]) == ("lora", 4, False, False)
    manifest = home / "adapters" / "studio.json"
    signing = [
        "adapters",
        "sign",
        str(style),
        "--key",
        str(private),
        "--issuer",
        "studio",
        "-o",
        str(manifest),
    ]
    assert run(signing) == 0
    assert run(["adapters", "verify", str(manifest), "--issuer", str(public), "--file", str(style)]) == 0
    other = adapter_file(tmp_path / "b.safetensors", "other")
    assert run(["adapters", "verify", str(manifest), "--issuer", str(public), "--file", str(other)]) == 1
    capsys.readouterr()
    assert run(["adapters", "inspect", str(style), "--json"]) == 0
    assert said(capsys)["signed"] is True
    assert run(["adapters", "inspect", str(style), str(other)]) == 1
    assert "vouches" in capsys.readouterr().out
    style.write_bytes(b"\x80\x04pickle")
    assert run(["adapters", "inspect", str(style), "--json"]) == 2
    assert "a pickle" in said(capsys)["error"]
    manifest.write_text(manifest.read_text().replace("studio", "stud10"))
    assert run(["adapters", "inspect", str(other)]) == 2


def test_doctor_counts_people_and_adapters(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", "--json"]) == 0
    rows = {row["check"]: row["detail"] for row in map(json.loads, capsys.readouterr().out.splitlines()[2:])}
    assert "protected people: none" in rows["faces"]
    assert "nobody is enrolled" in rows["faces"]
    assert rows["adapters"] == "0 vouched for in 0 manifests, 0 trials"
    assert run(["faces", "enrol", "p-1", str(picture(tmp_path / "ada.png", ADA))]) == 0
    reader = identity.face_reader(settings())
    assert reader is not None
    strangers = np.random.default_rng(0).standard_normal(50_000) * 0.1
    measured = Calibration.measure(reader.model_id, strangers)
    write_private(home / "faces" / "calibration.json", measured.to_json().encode())
    capsys.readouterr()
    assert run(["doctor", "--json"]) == 0
    rows = {row["check"]: row["detail"] for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert rows["faces"].endswith("1 protected people, 1 wrong person in 100,000 uploads supported")
