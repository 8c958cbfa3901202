from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watermark import MediaId, PayloadError
from watermark.coding import best_correlations, correlate, decode_list, encode
from watermark.payload import MESSAGE_BITS, crc16, decode_payload, encode_payload

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


def test_drawn_ids_use_six_random_bytes() -> None:
    assert MediaId.draw(lambda n: b"\x01" * n).hex == "010101010101"


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
    messages, scores = decode_list(1.0 - 2.0 * coded)
    assert np.array_equal(messages[0], bits)
    assert scores[0] == 256


def test_decoder_corrects_noise_and_lists_the_right_word() -> None:
    """At one noise deviation per coded bit, where one in seven coded bits is wrong, every word comes back."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        media_id = MediaId.draw(rng.bytes)
        sent = 1.0 - 2.0 * encode(encode_payload(media_id, SEED))
        messages, scores = decode_list((sent + rng.normal(0, 1.0, 256)).astype(np.float32))
        assert media_id in {decode_payload(bits, SEED) for bits in messages[:32]}
        assert np.all(np.diff(scores) <= 0)


def test_best_path_bounds_the_code_words() -> None:
    noise = np.random.default_rng(2).normal(size=(8, 256)).astype(np.float32)
    bounds = best_correlations(noise)
    for word, bound in zip(noise, bounds, strict=True):
        messages, scores = decode_list(word)
        assert np.allclose(scores, correlate(messages, word))
        assert np.all(scores <= bound * 1.02)
