from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watermark import MediaId, PayloadError
from watermark.coding import best_correlations, correlate, decode_list, encode
from watermark.payload import MESSAGE_BITS, crc16, decode_payload, encode_payload, leading_bits

SEED = hashlib.sha256(b"seed").digest()
media_ids = st.integers(0, 2**48 - 1).map(MediaId)


@given(media_ids)
def test_hex_and_payload_round_trip(media_id: MediaId) -> None:
    assert MediaId.parse(media_id.hex) == media_id
    assert decode_payload(encode_payload(media_id, SEED), SEED) == media_id


@given(media_ids, st.integers(0, MESSAGE_BITS - 1))
def test_one_wrong_bit_fails_the_check(media_id: MediaId, place: int) -> None:
    bits = encode_payload(media_id, SEED)
    bits[place] ^= 1
    assert decode_payload(bits, SEED) is None


@pytest.mark.parametrize("text", ["", "0123456789a", "0123456789abc", "0123456789ag", " 123456789ab"])
def test_other_text_is_no_media_id(text: str) -> None:
    with pytest.raises(PayloadError):
        MediaId.parse(text)


@pytest.mark.parametrize("value", [-1, 1 << 48])
def test_numbers_out_of_range_are_no_media_id(value: int) -> None:
    with pytest.raises(PayloadError):
        MediaId(value)


def test_drawn_ids_use_four_random_bytes() -> None:
    assert MediaId.draw(lambda n: b"\xff" * n).hex == "0000ffffffff"
    assert [MediaId(value).drawn for value in (0, (1 << 32) - 1, 1 << 32)] == [True, True, False]


def test_messages_of_drawn_ids_begin_alike() -> None:
    head = leading_bits(SEED)
    messages = [encode_payload(MediaId(value), SEED) for value in (0, 1, (1 << 32) - 1)]
    assert len(head) == 16
    assert all(np.array_equal(message[:16], head) for message in messages)
    assert not np.array_equal(encode_payload(MediaId(1 << 32), SEED)[:16], head)


def test_whitening_makes_a_plain_id_look_random() -> None:
    assert 16 < int(encode_payload(MediaId(0), SEED).sum()) < 48


def test_crc_check_value() -> None:
    """The published check value of CRC-16/IBM-3740."""
    assert crc16(b"123456789") == 0x29B1


@given(media_ids)
def test_code_round_trips_and_is_tail_biting(media_id: MediaId) -> None:
    bits = encode_payload(media_id, SEED)
    coded = encode(bits)
    assert np.array_equal(encode(np.roll(bits, 5)), np.roll(coded, 20))
    best, score = next(decode_list(1.0 - 2.0 * coded, least=0, limit=1))
    assert np.array_equal(best, bits)
    assert score == 256


def test_what_begins_otherwise_is_left_out_of_a_list_and_nothing_else() -> None:
    rng = np.random.default_rng(1)
    soft = rng.normal(0, 1 / 16, 256).astype(np.float32)
    every = list(decode_list(soft, least=6, limit=3000))
    scores = [score for _, score in every]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= 6
    head = every[7][0][:4]  # some word of the list begins so
    kept = [word.tobytes() for word, _ in every if np.array_equal(word[:4], head)]
    listed = list(decode_list(soft, head, least=scores[-1], limit=3000))
    assert {word.tobytes() for word, _ in listed} == set(kept)
    assert best_correlations(soft[None], head[None])[0] >= listed[0][1] - 0.5


def test_the_list_is_short_where_nothing_was_sent() -> None:
    noise = np.random.default_rng(3).normal(0, 1 / 16, 256).astype(np.float32)
    assert list(decode_list(noise, least=10.0, limit=512)) == []
    assert len(list(decode_list(noise, least=0.0, limit=7))) == 7


def test_best_path_bounds_the_code_words() -> None:
    noise = np.random.default_rng(2).normal(size=(8, 256)).astype(np.float32)
    bounds = best_correlations(noise)
    for word, bound in zip(noise, bounds, strict=True):
        listed = list(decode_list(word, least=0, limit=20))
        scores = np.array([score for _, score in listed])
        assert np.allclose(scores, correlate(np.stack([bits for bits, _ in listed]), word), rtol=1e-4)
        assert np.all(scores <= bound * 1.02)
