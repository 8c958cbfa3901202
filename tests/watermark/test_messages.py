"""From soft bits to the message: what the bound lets pass is read, and nothing else is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from watermark.coding import encode
from watermark.messages import read_message
from watermark.payload import MediaId, encode_payload
from watermark.statistics import LOG10_P_DETECTED, least_correlation, log10_multiplicity

MULTIPLICITY = log10_multiplicity(64, share=0.25)  # a search in a clip
SEEDS = [hashlib.sha256(f"sub-key {number}".encode()).digest() for number in range(16)]


def received(media_id: MediaId, seed: bytes, t: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Soft bits of a weak mark, to whose word they correlate by exactly `t`."""
    sent = 1.0 - 2.0 * encode(encode_payload(media_id, seed))
    noise = rng.normal(0, 1 / 16, 256)
    return (sent * (t - noise @ sent) / 256 + noise).astype(np.float32)


def drawn_id(rng: np.random.Generator) -> MediaId:
    return MediaId.draw(rng.bytes)


def other_id(rng: np.random.Generator) -> MediaId:
    return MediaId(1 << 47 | drawn_id(rng).value)


@pytest.mark.parametrize(("pick", "drawn"), [(drawn_id, True), (other_id, False)])
def test_what_the_bound_lets_pass_is_read(
    pick: Callable[[np.random.Generator], MediaId], drawn: bool
) -> None:
    """Of words received just where the bound reaches 1e-6, none is lost; a single Viterbi pass brings back
    less than two thirds of them.
    """
    rng = np.random.default_rng(1)
    t = least_correlation(LOG10_P_DETECTED, MULTIPLICITY, drawn=drawn) + 0.1
    for number in range(12):
        media_id, word = pick(rng), number % len(SEEDS)
        soft = rng.normal(0, 1 / 16, (len(SEEDS), 256)).astype(np.float32)
        soft[word] = received(media_id, SEEDS[word], t, rng)
        message = read_message(soft, SEEDS, MULTIPLICITY)
        assert message is not None
        assert (message.media_id, message.word) == (media_id, word)
        assert message.t == pytest.approx(t, abs=1e-4)
        assert message.log10_p <= LOG10_P_DETECTED


def test_an_id_that_was_not_drawn_needs_a_stronger_mark() -> None:
    rng = np.random.default_rng(2)
    t = least_correlation(LOG10_P_DETECTED, MULTIPLICITY, drawn=True) + 0.1
    for _ in range(6):
        message = read_message(received(other_id(rng), SEEDS[0], t, rng)[None], SEEDS[:1], MULTIPLICITY)
        assert message is None or message.log10_p > LOG10_P_DETECTED


def test_nothing_is_read_off_noise() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        soft = rng.normal(0, 1 / 16, (len(SEEDS), 256)).astype(np.float32)
        assert read_message(soft, SEEDS, MULTIPLICITY) is None
