"""Keys, policy and issuers that are missing, open to others or broken: each error says what to do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from provenance.keystores import certificate_request
from service import keys
from service.errors import ConfigurationError
from service.settings import Settings
from service.wiring import build_guard, consents, open_services
from tests.provenance.makers import Leaf, issue


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(home=tmp_path)
    keys.create_keys(made.keys, now=datetime.now(UTC))
    return made


def pem(*private: Ed25519PrivateKey) -> bytes:
    return b"".join(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for key in private
    )


def test_every_epoch_is_detected_and_the_newest_marks(settings: Settings) -> None:
    assert [ring.epoch for ring in keys.rings(replace(settings, key_epoch=2))] == [2, 1, 0]
    assert keys.prompt_key(settings) != keys.read_master(settings)


@pytest.mark.parametrize("text", ["", "xyz", "00" * 32, "ab" * 4, "\xff"])
def test_a_master_key_that_cannot_be_one(settings: Settings, text: str) -> None:
    (settings.keys / "master.key").write_text(text, encoding="latin-1")
    with pytest.raises(ConfigurationError, match=r"master\.key"):
        keys.rings(settings)


def test_a_master_key_that_others_can_read(settings: Settings) -> None:
    (settings.keys / "master.key").chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        keys.rings(settings)


def test_missing_keys_name_the_command(tmp_path: Path) -> None:
    for read in (keys.rings, keys.signing_key, keys.prompt_key):
        with pytest.raises(ConfigurationError, match="assay keys init"):
            read(Settings(home=tmp_path))


def test_a_signing_key_that_is_none(settings: Settings) -> None:
    with pytest.raises(ConfigurationError):
        keys.signing_key(replace(settings, signing_key=settings.keys / "dev-chain.pem"))


def test_further_roots_are_trusted(settings: Settings) -> None:
    more = keys.trust(replace(settings, trust_roots=settings.keys / "dev-root.pem"))
    assert len(more.claim) == len(keys.trust(settings).claim) + 1
    with pytest.raises(ConfigurationError, match="ASSAY_TRUST_ROOTS"):
        keys.trust(replace(settings, trust_roots=settings.keys / "nothing.pem"))


def test_keys_need_a_folder_that_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError):
        keys.create_keys(tmp_path / "file" / "keys", now=datetime.now(UTC))
    with pytest.raises(ConfigurationError, match="ASSAY_HOME"):
        open_services(Settings(home=tmp_path / "file"))


def test_consent_issuers(settings: Settings, tmp_path: Path) -> None:
    assert consents(settings) is None
    path = tmp_path / "issuers.pem"
    configured = replace(settings, consent_issuers=path)
    path.write_bytes(pem(Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()))
    assert consents(configured) is not None
    other = generate_private_key(SECP256R1()).public_key()
    for content in (b"", b"rubbish", other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)):
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match="ASSAY_CONSENT_ISSUERS"):
            consents(configured)


def test_a_policy_that_does_not_load(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("policy: x\nrulez: []\n")
    with pytest.raises(ConfigurationError, match="rulez"):
        build_guard(replace(settings, policy=tmp_path / "p.yaml"))


def test_a_renewed_certificate_is_used_without_a_restart(settings: Settings) -> None:
    before = keys.signing_key(settings)
    said = keys.renew_signing(settings, None, None, now=datetime.now(UTC))
    after = keys.signing_key(settings)
    assert "development" in said
    assert after.chain_pem != before.chain_pem
    after.require_usable(datetime.now(UTC))


def test_a_chain_from_an_authority_takes_its_place_or_nothing_changes(
    settings: Settings, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    request = certificate_request(keys.signing_store(settings), organisation="Example", common_name="A")
    (tmp_path / "new.pem").write_bytes(issue(x509.load_pem_x509_csr(request), now))
    assert "CN=A" in keys.renew_signing(settings, tmp_path / "new.pem", None, now=now)
    kept = keys.signing_key(settings)
    assert "CN=A" in kept.subject
    foreign = Leaf(generate_private_key(SECP256R1()))
    (tmp_path / "foreign.pem").write_bytes(foreign.chain(now))
    with pytest.raises(ConfigurationError, match="does not belong"):
        keys.renew_signing(settings, tmp_path / "foreign.pem", None, now=now)
    (tmp_path / "old.pem").write_bytes(issue(x509.load_pem_x509_csr(request), now - timedelta(days=90)))
    with pytest.raises(ConfigurationError, match="expired"):
        keys.renew_signing(settings, tmp_path / "old.pem", None, now=now)
    assert keys.signing_key(settings).subject == kept.subject


@pytest.mark.parametrize(
    ("days", "said"), [(100, ""), (20, "renew it "), (3, "renew it now"), (-1, "nothing")]
)
def test_expiry_alarms(settings: Settings, days: int, said: str) -> None:
    key = keys.signing_key(settings)
    alarm = keys.expiry_alarm(key, key.not_after - timedelta(days=days))
    assert said in alarm
    assert bool(alarm) is bool(said)


def test_doctor_explains_a_rejected_certificate(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    flawed = Leaf(generate_private_key(SECP256R1()), usages=(), aki=False, end=timedelta(days=-1))
    (tmp_path / "chain.pem").write_bytes(replace(flawed, usages=None).chain(now))
    found = {finding.name: finding for finding in keys.examine_chain(tmp_path / "chain.pem", None, now=now)}
    assert {"eku", "aki", "expired"} <= set(found)
    assert not found["eku"].good
    assert "1.3.6.1.4.1.62558.2.1" in found["eku"].text
    good = Leaf(generate_private_key(SECP256R1()))
    (tmp_path / "chain.pem").write_bytes(good.chain(now))
    assert [f.good for f in keys.examine_chain(tmp_path / "chain.pem", None, now=now)] == [True]


def test_doctor_names_the_certificate_in_use_and_when_it_ends(settings: Settings) -> None:
    found = {finding.name: finding for finding in keys.examine_keys(settings)}
    assert "NOT TRUSTED" in found["certificate"].text
    soon = keys.examine_keys(settings, now=datetime.now(UTC) + timedelta(days=80))
    assert any(finding.name == "certificate: expires-soon" and finding.good for finding in soon)
    late = keys.examine_keys(settings, now=datetime.now(UTC) + timedelta(days=100))
    assert any(finding.name == "certificate: expired" and not finding.good for finding in late)


def test_revoked_keys_mark_nothing_and_are_still_read(settings: Settings) -> None:
    some = replace(settings, revoked_keys="0.0, 0.1 3")
    draw = keys.randbelow(some)
    assert {draw(16) for _ in range(400)} == set(range(2, 16))
    assert {f"3.{index}" for index in range(16)} <= keys.revoked(some)
    assert [ring.epoch for ring in keys.rings(some)] == [0]
    assert len(keys.rings(some)[0].subkey(0).key_id) > 0
    with pytest.raises(ConfigurationError, match="ASSAY_KEY_EPOCH=1"):
        keys.randbelow(replace(settings, revoked_keys="0"))
    with pytest.raises(ConfigurationError, match=r"epoch\.sub-key"):
        keys.revoked(replace(settings, revoked_keys="0.x"))


def test_time_stamp_roots_and_newer_lists(settings: Settings) -> None:
    root = settings.keys / "dev-root.pem"
    bundled = keys.trust(settings)
    stamps = keys.trust(replace(settings, tsa_roots=root))
    assert (len(stamps.claim), len(stamps.tsa)) == (len(bundled.claim), len(bundled.tsa) + 1)
    newer = keys.trust(replace(settings, claim_list=root, tsa_list=root))
    assert (len(newer.claim), len(newer.tsa)) == (1, 1)
    absent = settings.keys / "none.pem"
    for wrong, name in (
        (replace(settings, claim_list=absent), "ASSAY_CLAIM_LIST"),
        (replace(settings, tsa_list=absent), "ASSAY_TSA_LIST"),
        (replace(settings, tsa_roots=absent), "ASSAY_TSA_ROOTS"),
    ):
        with pytest.raises(ConfigurationError, match=name):
            keys.trust(wrong)
    assert keys.signing_key(replace(settings, timestamp_url="http://stamp/")).timestamp_url == "http://stamp/"
