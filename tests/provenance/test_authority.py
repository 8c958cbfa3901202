from __future__ import annotations

import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from provenance import (
    AuthorityError,
    DevAuthority,
    SigningKey,
    create_dev_authority,
    explain_certificate,
    renew_dev_leaf,
)
from provenance.authority import CLAIM_SIGNING


def _files(authority: DevAuthority) -> list[Path]:
    return [authority.root, authority.root_key, authority.chain, authority.key]


def test_files_are_private(authority: DevAuthority) -> None:
    assert [stat.S_IMODE(path.stat().st_mode) for path in _files(authority)] == [0o600] * 4
    assert stat.S_IMODE(authority.folder.stat().st_mode) == 0o700
    assert sorted(authority.folder.iterdir()) == sorted(_files(authority))


def test_names_say_what_it_is(authority: DevAuthority) -> None:
    for certificate in x509.load_pem_x509_certificates(authority.chain.read_bytes()):
        subject = certificate.subject.rfc4514_string()
        assert "DEV" in subject
        assert "NOT TRUSTED" in subject


def test_leaf_meets_the_profile(authority: DevAuthority, now: datetime) -> None:
    leaf = x509.load_pem_x509_certificates(authority.chain.read_bytes())[0]
    usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert CLAIM_SIGNING in usages
    assert leaf.not_valid_after_utc - now < timedelta(days=91)
    assert explain_certificate(authority.chain.read_bytes(), now, authority.key.read_bytes()) == []


def test_keys_are_never_overwritten(authority: DevAuthority, now: datetime) -> None:
    before = [path.read_bytes() for path in _files(authority)]
    with pytest.raises(AuthorityError, match="not overwritten"):
        create_dev_authority(authority.folder, now=now)
    assert [path.read_bytes() for path in _files(authority)] == before


def test_a_single_left_over_file_is_not_overwritten(tmp_path: Path, now: datetime) -> None:
    (tmp_path / "dev-signing.key").write_text("precious")
    with pytest.raises(AuthorityError, match=r"dev-signing\.key exists"):
        create_dev_authority(tmp_path, now=now)
    assert [path.name for path in tmp_path.iterdir()] == ["dev-signing.key"]


def test_folder_that_is_a_file(tmp_path: Path, now: datetime) -> None:
    (tmp_path / "keys").write_text("")
    with pytest.raises(AuthorityError, match="cannot hold keys"):
        create_dev_authority(tmp_path / "keys", now=now)


def test_renewal_keeps_the_root(tmp_path: Path, now: datetime) -> None:
    old = create_dev_authority(tmp_path / "dev", now=now - timedelta(days=100))
    root, chain = old.root.read_bytes(), old.chain.read_bytes()
    assert [f.code for f in explain_certificate(chain, now)] == ["expired"]
    fresh = renew_dev_leaf(tmp_path / "dev", now=now)
    assert fresh.root.read_bytes() == root
    assert explain_certificate(fresh.chain.read_bytes(), now, fresh.key.read_bytes()) == []
    assert stat.S_IMODE(fresh.key.stat().st_mode) == 0o600
    SigningKey.from_files(fresh.chain, fresh.key).require_usable(now)


def test_renewal_without_an_authority(tmp_path: Path, now: datetime) -> None:
    with pytest.raises(AuthorityError, match="create one first"):
        renew_dev_leaf(tmp_path, now=now)
