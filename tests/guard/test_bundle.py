"""Policy bundles: signed, whole, and taken up only when they pass their own tests."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from guard import Policy, PolicyError, parse_policy
from guard.bundle import LiveGuard, load_bundle, sign_bundle
from guard.errors import BundleError
from service.cli.policy import app
from tests.guard.conftest import POLICY, guard_of, prompt

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ISSUERS = (Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key(), KEY.public_key())
Members = dict[str, bytes]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(POLICY.replace("items: [statue, cartoon]", "file: art.txt"), "utf-8")
    (tmp_path / "art.txt").write_text("statue\ncartoon\n", "utf-8")
    return path


@pytest.fixture
def bundle(source: Path, tmp_path: Path) -> Path:
    sign_bundle(source, tmp_path / "small.bundle", KEY)
    return tmp_path / "small.bundle"


def edited(bundle: Path, edit: Callable[[Members], Members]) -> Path:
    with tarfile.open(bundle) as tar:
        members = {m.name: file.read() for m in tar if (file := tar.extractfile(m))}
    with tarfile.open(bundle, "w") as tar:
        for name, content in edit(members).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return bundle


def test_a_bundle_gives_the_policy_that_was_signed(bundle: Path, source: Path, tmp_path: Path) -> None:
    policy = load_bundle(bundle, ISSUERS)
    assert policy.label == "test.small@1.0.0"
    assert [entry.names[0] for entry in policy.lists["art"].entries] == ["statue", "cartoon"]
    again = tmp_path / "again.bundle"
    assert sign_bundle(source, again, KEY).digest == policy.digest
    assert again.read_bytes() == bundle.read_bytes()


def test_an_unknown_issuer_is_refused(bundle: Path) -> None:
    with pytest.raises(BundleError, match="not signed by a known issuer"):
        load_bundle(bundle, ISSUERS[:1])
    with pytest.raises(BundleError, match="not signed"):
        load_bundle(bundle, ())


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: {**m, "art.txt": b"nothing\n"}, "not as it was signed"),
        (lambda m: {**m, "policy.yaml": m["policy.yaml"] + b"\n"}, "not as it was signed"),
        (lambda m: {k: v for k, v in m.items() if k != "art.txt"}, "is missing"),
        (lambda m: {**m, "more.txt": b""}, "files that were not signed"),
        (lambda m: {**m, "manifest.json": m["manifest.json"].replace(b"1.0.0", b"2.0.0")}, "not signed by"),
        (lambda m: {**m, "signature": b"x"}, "not signed by"),
        (lambda m: {}, "not signed by"),
    ],
)
def test_a_changed_bundle_is_refused(bundle: Path, edit: Callable[[Members], Members], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        load_bundle(edited(bundle, edit), ISSUERS)


def resigned(bundle: Path, **changes: object) -> Path:
    def edit(members: Members) -> Members:
        manifest = json.dumps({**json.loads(members["manifest.json"]), **changes}).encode()
        return {
            **members,
            "manifest.json": manifest,
            "signature": KEY.sign(b"assay policy bundle 1\0" + manifest),
        }

    return edited(bundle, edit)


def test_a_signed_manifest_must_fit_the_policy(bundle: Path) -> None:
    with pytest.raises(BundleError, match="digest is not the signed one"):
        load_bundle(resigned(bundle, digest="0" * 64), ISSUERS)
    with pytest.raises(BundleError, match="format 2"):
        load_bundle(resigned(bundle, format=2), ISSUERS)


@pytest.mark.parametrize("content", [b"", b"not a tar" * 100, b"\0" * 512])
def test_what_is_no_bundle_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(BundleError):
        load_bundle(tmp_path / "x", ISSUERS)
    with pytest.raises(BundleError, match="cannot be read"):
        load_bundle(tmp_path / "none", ISSUERS)


def test_links_and_huge_files_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x", "w") as tar:
        link = tarfile.TarInfo("policy.yaml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(BundleError, match="not a plain file"):
        load_bundle(tmp_path / "x", ISSUERS)
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(BundleError, match="larger than"):
        load_bundle(tmp_path / "huge", ISSUERS)


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("block: press photo of Amy", "block: painting of Amy", "does not pass its own tests"),
        (
            "severity: critical\n    mode: enforce",
            "severity: critical\n    on_error: allow\n    mode: enforce",
            "fails",
        ),
        ("- {words: art, within: 3 words}", "- words: press", "never fires"),
    ],
)
def test_a_policy_that_is_not_good_is_not_signed(
    good: str, bad: str, message: str, source: Path, tmp_path: Path
) -> None:
    source.write_text(source.read_text("utf-8").replace(good, bad), "utf-8")
    with pytest.raises(BundleError, match=message.replace("fails", "lets requests through")):
        sign_bundle(source, tmp_path / "x", KEY)
    assert not (tmp_path / "x").exists()


def test_a_live_guard_takes_up_a_good_policy_and_keeps_the_old_one_otherwise(
    bundle: Path, policy: Policy
) -> None:
    live = LiveGuard(guard_of(policy), guard_of)
    before = live.current
    text = POLICY.replace("version: 1.0.0", "version: 1.1.0").replace("Amy Klobuchar", "Ada Lovelace")

    def broken() -> Policy:
        return parse_policy(text.replace("severity: high", "severty: high"))

    assert live.offer(broken).problem.count("did you mean 'severity'") == 1
    failing = live.offer(lambda: parse_policy(text.replace("block: press photo of", "block: painting of")))
    assert (failing.taken, failing.label) == (False, "test.small@1.0.0")
    assert "does not pass its own tests" in failing.problem
    assert live.current is before
    assert live.offer(lambda: parse_policy(text)).label == "test.small@1.1.0"
    assert live.current.evaluate(prompt("press photo of Amy Klobuchar")).allowed
    assert not before.evaluate(prompt("press photo of Amy Klobuchar")).allowed
    assert live.offer(lambda: load_bundle(bundle, ISSUERS)).taken


def test_a_bundle_lacks_no_list() -> None:
    with pytest.raises(PolicyError, match="is not in the bundle"):
        parse_policy(POLICY.replace("items: [statue, cartoon]", "file: art.txt"), files={})


def test_the_commands_sign_and_verify(source: Path, tmp_path: Path) -> None:
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "key.pem").write_bytes(KEY.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (tmp_path / "pub.pem").write_bytes(KEY.public_key().public_bytes(pem, spki))
    (tmp_path / "other.pem").write_bytes(ISSUERS[0].public_bytes(pem, spki))

    def run(*arguments: object) -> int:
        result = CliRunner().invoke(app, ["bundle", *map(str, arguments)], standalone_mode=False)
        assert result.exception is None
        return int(result.return_value)

    signed = tmp_path / "out.bundle"
    assert run("sign", source, "-o", signed, "--key", tmp_path / "key.pem") == 0
    assert run("verify", signed, "--issuer", tmp_path / "pub.pem") == 0
    assert run("verify", signed, "--issuer", tmp_path / "other.pem") == 2
    assert run("sign", source, "-o", signed, "--key", tmp_path / "pub.pem") == 2
    assert run("sign", tmp_path / "none.yaml", "-o", signed, "--key", tmp_path / "key.pem") == 2
