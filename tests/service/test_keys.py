"""Keys, policy and issuers that are missing, open to others or broken: each error says what to do."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service import keys
from service.errors import ConfigurationError
from service.settings import Settings
from service.wiring import build_guard, consents, open_services


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
