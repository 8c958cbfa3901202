from __future__ import annotations

import hashlib

import numpy as np
import pytest

from tests.watermark.conftest import make_ring
from watermark import KeyRing, KeyRingError
from watermark.keys import key_stream

MASTER = hashlib.sha256(b"a random master").digest()


@pytest.mark.parametrize(
    "master",
    [
        b"", MASTER[:31], bytes(32), b"\xaa\x55" * 20, bytes(range(32)), bytes(range(255, 100, -3)),
        b"correct horse battery staple!!!!",
    ],
    ids=["empty", "31 bytes", "zeros", "repeating", "counting", "counting down", "typed"],
)  # fmt: skip
def test_weak_masters_are_refused(master: bytes) -> None:
    with pytest.raises(KeyRingError, match="master key"):
        KeyRing.derive(master, deployment="d")


@pytest.mark.parametrize(
    ("deployment", "epoch", "subkeys"),
    [("", 0, 1), ("d", -1, 1), ("d", 1 << 16, 1), ("d", 0, 0), ("d", 0, 257)],
)
def test_rings_out_of_range_are_refused(deployment: str, epoch: int, subkeys: int) -> None:
    with pytest.raises(KeyRingError):
        KeyRing.derive(MASTER, deployment=deployment, epoch=epoch, subkeys=subkeys)


def test_deployment_and_epoch_separate_keys() -> None:
    rings = [KeyRing.derive(MASTER, deployment=d, epoch=e) for d in ("a", "b") for e in (0, 1)]
    assert len({ring.pilot_seed for ring in rings}) == 4
    assert len({ring.subkey(i).payload_seed for ring in rings for i in range(16)}) == 64


def test_subkeys_share_the_pilot_of_their_ring() -> None:
    ring = make_ring("r")
    assert {ring.subkey(i).pilot_seed for i in range(4)} == {ring.pilot_seed}
    with pytest.raises(KeyRingError):
        ring.subkey(4)


def test_tenants_have_keys_of_their_own_under_one_pilot() -> None:
    ring = make_ring("r")
    tenants = [ring.for_tenant(name) for name in ("a", "b")]
    assert {tenant.pilot_seed for tenant in tenants} == {ring.pilot_seed}
    rings = [ring, *tenants]
    assert len({r.subkey(i).payload_seed for r in rings for i in range(4)}) == 12
    assert tenants[0] == ring.for_tenant("a")
    with pytest.raises(KeyRingError, match="tenant"):
        ring.for_tenant("")
    with pytest.raises(KeyRingError, match="tenant"):
        tenants[0].for_tenant("b")


def test_draw_asks_for_one_of_the_subkeys() -> None:
    assert make_ring("r", epoch=7).draw(lambda n: n - 1).key_id == "7.3"


def test_secrets_do_not_show_in_a_repr() -> None:
    ring = make_ring("r")
    assert ring.secret.hex() not in repr(ring)
    assert "seed" not in repr(ring.subkey(0))


def test_key_stream_is_chacha20() -> None:
    """RFC 8439, A.1, test vector 1 has a zero key and nonce; here the nonce comes from the label, so
    compare halves.
    """
    long, short = key_stream(MASTER, "label", 64), key_stream(MASTER, "label", 16)
    assert np.array_equal(long[:16], short)
    assert not np.array_equal(key_stream(MASTER, "other", 16), short)
