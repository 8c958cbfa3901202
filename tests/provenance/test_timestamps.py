"""A real time-stamp server on this machine: OpenSSL's responder behind HTTP."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from provenance import (
    C2paState,
    ManifestFacts,
    SigningError,
    SigningKey,
    TrustAnchors,
    read_manifest,
    sign_asset,
)
from tests.provenance.makers import Leaf

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command here")

CONFIG = """
[tsa]
default_tsa = one
[one]
dir = {folder}
serial = {folder}/serial
signer_cert = {folder}/leaf.pem
certs = {folder}/chain.pem
signer_key = {folder}/key.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""


@dataclass(frozen=True)
class StampServer:
    url: str
    root: bytes


class _Responder(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        folder: Path = self.server.folder  # type: ignore[attr-defined]
        (folder / "query").write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
        command: list[str | Path] = [
            "openssl",
            "ts",
            "-reply",
            "-config",
            folder / "tsa.cnf",
            "-queryfile",
            folder / "query",
        ]
        answer = subprocess.run(command, check=True, capture_output=True).stdout
        self.send_response(200)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="module")
def stamps(tmp_path_factory: pytest.TempPathFactory, now: datetime) -> Iterator[StampServer]:
    folder = tmp_path_factory.mktemp("tsa")
    leaf = Leaf(
        ec.generate_private_key(ec.SECP256R1()),
        usages=(ExtendedKeyUsageOID.TIME_STAMPING,),
        eku_critical=True,
    )
    chain = leaf.chain(now)
    first = chain.index(b"-----BEGIN", 1)
    for name, content in (
        ("leaf.pem", chain[:first]),
        ("chain.pem", chain),
        ("key.pem", leaf.key_pem()),
        ("serial", b"01"),
    ):
        (folder / name).write_bytes(content)
    (folder / "tsa.cnf").write_text(CONFIG.format(folder=folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Responder)
    server.folder = folder  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield StampServer(f"http://127.0.0.1:{server.server_address[1]}/", chain[first:])
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass(frozen=True)
class Signed:
    path: Path
    root: bytes


@pytest.fixture(scope="module")
def stamped(
    stamps: StampServer,
    tmp_path_factory: pytest.TempPathFactory,
    now: datetime,
    media: dict[str, Path],
    facts: ManifestFacts,
) -> Signed:
    """Signed with a certificate that expires seconds later."""
    folder = tmp_path_factory.mktemp("stamped")
    leaf = Leaf(ec.generate_private_key(ec.SECP256R1()), end=datetime.now(UTC) - now + timedelta(seconds=4))
    (folder / "chain.pem").write_bytes(leaf.chain(now))
    (folder / "key.pem").write_bytes(leaf.key_pem())
    key = SigningKey.from_files(folder / "chain.pem", folder / "key.pem", timestamp_url=stamps.url)
    signed = sign_asset(media["image/png"], folder / "out.png", facts, key, trust=TrustAnchors())
    return Signed(signed.path, (folder / "chain.pem").read_bytes())


def _wait_for_expiry(root: bytes) -> None:
    end = x509.load_pem_x509_certificates(root)[0].not_valid_after_utc
    time.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds() + 1))


def test_a_stamped_signature_outlives_its_certificate(stamped: Signed, stamps: StampServer) -> None:
    _wait_for_expiry(stamped.root)
    claim = TrustAnchors().with_claim_root(stamped.root)
    with_stamp = read_manifest(stamped.path, claim.with_tsa_root(stamps.root))
    assert with_stamp.state is C2paState.TRUSTED
    assert with_stamp.signer is not None
    assert with_stamp.signer.signed_at is not None
    without = read_manifest(stamped.path, claim)
    assert without.state is C2paState.INVALID
    assert "signingCredential.expired" in {failure.code for failure in without.failures}


def test_a_stamp_server_in_both_lists_still_stamps(stamped: Signed, stamps: StampServer) -> None:
    _wait_for_expiry(stamped.root)
    both = (
        TrustAnchors().with_claim_root(stamped.root).with_claim_root(stamps.root).with_tsa_root(stamps.root)
    )
    assert read_manifest(stamped.path, both).state is C2paState.TRUSTED


def test_a_claim_authority_cannot_vouch_for_stamps(stamped: Signed, stamps: StampServer) -> None:
    """The library itself answers Trusted here."""
    _wait_for_expiry(stamped.root)
    claims = TrustAnchors().with_claim_root(stamped.root).with_claim_root(stamps.root)
    report = read_manifest(stamped.path, claims)
    assert (report.state, report.signer) == (C2paState.INVALID, None)
    assert "signingCredential.expired" in {failure.code for failure in report.failures}


def test_a_stamp_server_that_does_not_answer_leaves_nothing(
    tmp_path: Path, media: dict[str, Path], facts: ManifestFacts, key: SigningKey
) -> None:
    unreachable = replace(key, timestamp_url="http://127.0.0.1:9/")
    with pytest.raises(SigningError, match="signing failed"):
        sign_asset(media["image/png"], tmp_path / "out.png", facts, unreachable, trust=TrustAnchors())
    assert list(tmp_path.iterdir()) == []
