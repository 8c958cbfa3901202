"""Keys that never leave their store: SoftHSM2 itself, and small servers that speak Vault's and KMS's
documented shapes."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from provenance import (
    C2paState,
    KeyMaterialError,
    ManifestFacts,
    TrustAnchors,
    create_dev_authority,
    sign_asset,
)
from provenance.keystores import (
    KeyStore,
    PemKey,
    PublicKey,
    certificate_request,
    open_keystore,
    signing_key,
)
from provenance.keystores.aws import Credentials, signature_v4
from tests.provenance.makers import issue

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
MODULE = next((name for name in MODULES if Path(name).exists()), None)
KEY = ec.generate_private_key(ec.SECP256R1())


@dataclass
class Store:
    """A server of one key: answers by path or target, and what it was asked."""

    url: str
    asked: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    broken: str = ""


@contextmanager
def serving(answer: Callable[[str, dict[str, str], dict[str, Any]], tuple[int, Any]]) -> Iterator[Store]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.loads(text) if text else {}
            store.asked.append((self.path, headers, body))
            status, found = (200, store.broken) if store.broken else answer(self.path, headers, body)
            content = found.encode() if isinstance(found, str) else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST  # noqa: N815 - the name that http.server calls

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    store = Store(f"http://127.0.0.1:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()


def _vault(path: str, headers: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
    """https://developer.hashicorp.com/vault/api-docs/secret/transit"""
    if headers.get("x-vault-token") != "s.token":
        return 403, {"errors": ["permission denied"]}
    if path == "/v1/transit/keys/assay":
        pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        versions = {"1": {"public_key": "old"}, "2": {"public_key": pem}}
        return 200, {"data": {"type": "ecdsa-p256", "latest_version": 2, "keys": versions}}
    if path != "/v1/transit/sign/assay/sha2-256" or body.get("marshaling_algorithm") != "jws":
        return 404, {"errors": []}
    der = KEY.sign(base64.b64decode(body["input"]), ec.ECDSA(hashes.SHA256()))
    r, s = utils.decode_dss_signature(der)
    raw = base64.urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).rstrip(b"=").decode()
    return 200, {"data": {"signature": f"vault:v2:{raw}", "key_version": 2}}


def _kms(path: str, headers: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
    """https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html and API_GetPublicKey.html"""
    if not headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"):
        return 400, {"__type": "IncompleteSignatureException"}
    if headers["x-amz-target"] == "TrentService.GetPublicKey":
        der = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return 200, {"KeyId": body["KeyId"], "PublicKey": base64.b64encode(der).decode()}
    digest = base64.b64decode(body["Message"])
    signature = KEY.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    named = body["SigningAlgorithm"]
    return 200, {
        "KeyId": body["KeyId"],
        "Signature": base64.b64encode(signature).decode(),
        "SigningAlgorithm": named,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("s.token\n")
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG\n"
    )
    (tmp_path / "pin").write_text("1234\n")
    return tmp_path


def _vault_address(store: Store, folder: Path) -> str:
    return f"vault+{store.url}/v1/transit?key=assay&token-file={folder / 'token'}"


def _kms_address(store: Store, folder: Path) -> str:
    return (
        f"awskms:arn:aws:kms:eu-west-1:1:key/7?region=eu-west-1&credentials-file={folder / 'credentials'}"
        f"&endpoint={store.url}/"
    )


def _require_signs(
    store: KeyStore, now: datetime, folder: Path, media: dict[str, Path], facts: ManifestFacts
) -> None:
    """From request to certificate to a signed file that is trusted."""
    request = certificate_request(store, organisation="Example", common_name="Signer", country="DE")
    chain = issue(x509.load_pem_x509_csr(request), now)
    key = signing_key(store, chain)
    trust = TrustAnchors().with_claim_root(chain)
    signed = sign_asset(media["image/png"], folder / "out.png", facts, key, trust=trust)
    assert signed.state is C2paState.TRUSTED


def test_vault(now: datetime, folder: Path, media: dict[str, Path], facts: ManifestFacts) -> None:
    with serving(_vault) as store:
        _require_signs(open_keystore(_vault_address(store, folder)), now, folder, media, facts)
    assert len(store.asked) > 2


def test_kms(now: datetime, folder: Path, media: dict[str, Path], facts: ManifestFacts) -> None:
    with serving(_kms) as store:
        _require_signs(open_keystore(_kms_address(store, folder)), now, folder, media, facts)
    signs = [body for _, headers, body in store.asked if headers["x-amz-target"].endswith(".Sign")]
    assert {body["MessageType"] for body in signs} == {"DIGEST"}
    assert {len(base64.b64decode(body["Message"])) for body in signs} == {32}  # the content never leaves


def test_a_key_file(now: datetime, folder: Path, media: dict[str, Path], facts: ManifestFacts) -> None:
    authority = create_dev_authority(folder / "dev", now=now)
    _require_signs(PemKey(authority.key), now, folder, media, facts)


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A fresh SoftHSM2 token with an EC and an RSA key pair."""
    if MODULE is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM2 is not installed here (apt-get install softhsm2)")
    pkcs11 = pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed (pip install assay[hsm])")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    patch = pytest.MonkeyPatch()
    patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
    command = [
        "softhsm2-util",
        "--init-token",
        "--free",
        "--label",
        "assay",
        "--pin",
        "1234",
        "--so-pin",
        "5678",
    ]
    subprocess.run(command, check=True, capture_output=True)
    opened = pkcs11.lib(MODULE).get_token(token_label="assay").open(rw=True, user_pin="1234")
    with opened as session:
        curve = pkcs11.util.ec.encode_named_curve_parameters("secp256r1")
        parameters = session.create_domain_parameters(
            pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: curve}, local=True
        )
        parameters.generate_keypair(store=True, label="signing")
        session.generate_keypair(pkcs11.KeyType.RSA, 2048, store=True, label="rsa")
    (folder / "pin").write_text("1234\n")
    yield f"pkcs11:token=assay;object={{}}?module-path={MODULE}&pin-source={folder / 'pin'}"
    patch.undo()


def test_softhsm(
    token: str, now: datetime, folder: Path, media: dict[str, Path], facts: ManifestFacts
) -> None:
    _require_signs(open_keystore(token.format("signing")), now, folder, media, facts)


def test_softhsm_rsa_signs_with_pss(token: str) -> None:
    store = open_keystore(token.format("rsa"))
    from cryptography.hazmat.primitives.asymmetric import padding

    public = store.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(
        store.sign(b"claim"), b"claim", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()
    )


def test_a_wrong_pin_and_a_missing_key_say_so(token: str, folder: Path) -> None:
    with pytest.raises(KeyMaterialError, match="'none'"):
        open_keystore(token.format("none")).public_key()
    (folder / "wrong").write_text("9999")
    address = token.format("signing").partition("&pin-source=")[0] + f"&pin-source={folder / 'wrong'}"
    with pytest.raises(KeyMaterialError, match=r"(?i)pin"):
        open_keystore(address).public_key()


def test_a_store_that_answers_nonsense_leaves_nothing(
    now: datetime, folder: Path, media: dict[str, Path], facts: ManifestFacts
) -> None:
    with serving(_vault) as store:
        vault = open_keystore(_vault_address(store, folder))
        request = certificate_request(vault, organisation="Example", common_name="Signer")
        key = signing_key(vault, issue(x509.load_pem_x509_csr(request), now))
        for nonsense in ("no json", "{}", '{"data": {"type": "ecdsa-p256", "signature": "x"}}'):
            store.broken = nonsense
            with pytest.raises(KeyMaterialError):
                vault.sign(b"claim")
            with pytest.raises(Exception, match="signing failed"):
                sign_asset(media["image/png"], folder / "out.png", facts, key, trust=TrustAnchors())
    assert not (folder / "out.png").exists()


def test_refusals_of_a_store_are_shown(folder: Path) -> None:
    (folder / "token").write_text("expired")
    with serving(_vault) as store, pytest.raises(KeyMaterialError, match=r"403 .*permission denied"):
        open_keystore(_vault_address(store, folder)).sign(b"claim")
    with pytest.raises(KeyMaterialError, match="no usable answer"):
        open_keystore(_vault_address(Store("http://127.0.0.1:9"), folder)).public_key()


def test_a_certificate_for_another_key_is_refused(now: datetime, folder: Path) -> None:
    authority = create_dev_authority(folder / "dev", now=now)
    with serving(_kms) as store, pytest.raises(KeyMaterialError, match="assay keys csr"):
        signing_key(open_keystore(_kms_address(store, folder)), authority.chain.read_bytes())


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("file:/x", "no key store"),
        ("pkcs11:token=a;object=b?module-path=/x", "pin-source= is missing"),
        ("vault+https://host/v1/transit?key=a", "token-file= is missing"),
        ("awskms:1?credentials-file=/x", "region= is missing"),
        ("pkcs11:token=a;object=b?module-path=/x&pin-source=/none/pin", "cannot be read"),
    ],
)
def test_addresses_that_name_no_store(address: str, message: str) -> None:
    with pytest.raises(KeyMaterialError, match=message):
        open_keystore(address)


def test_signature_version_4_is_the_documented_one() -> None:
    """The worked example of the AWS General Reference, "Signature Version 4": ListUsers."""
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "host": "iam.amazonaws.com",
    }
    signed = signature_v4(
        "GET",
        "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
        headers,
        b"",
        Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        "us-east-1",
        "iam",
        datetime(2015, 8, 30, 12, 36, tzinfo=UTC),
    )
    assert signed["authorization"].endswith(
        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def test_requests_state_the_profile() -> None:
    class Held:
        def sign(self, data: bytes) -> bytes:
            return KEY.sign(data, ec.ECDSA(hashes.SHA256()))

        def public_key(self) -> PublicKey:
            return KEY.public_key()

    request = x509.load_pem_x509_csr(certificate_request(Held(), organisation="Example", common_name="A"))
    usages = request.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.EMAIL_PROTECTION in usages
    assert request.is_signature_valid
    with pytest.raises(KeyMaterialError, match="organisation"):
        certificate_request(Held(), organisation="", common_name="A")


def test_an_address_shows_no_secret(folder: Path) -> None:
    store = open_keystore(f"pkcs11:token=a;object=b?module-path=/x&pin-source={folder / 'pin'}")
    assert "1234" not in repr(store)
