from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.watermark.conftest import MEDIA_ID, Frame
from watermark.coding import encode
from watermark.frontend import accumulate
from watermark.geometry import aligned
from watermark.layout import CHANNELS, lay_chips
from watermark.payload import encode_payload
from watermark.soft_bits import ChipReader, ChipValues, soft_bits
from watermark.statistics import log10_multiplicity, message_log10_p

KEYS = 300


@given(st.floats(0, 60), st.floats(0, 10))
def test_p_is_a_falling_probability(t: float, multiplicity: float) -> None:
    p = message_log10_p(t, multiplicity)
    assert p <= 0
    assert message_log10_p(t + 0.1, multiplicity) <= p


def test_p_at_the_threshold() -> None:
    """exp(-t^2 / 2) times 2^48 words times 2 x 32 tests is 1e-6 at t = 10.13."""
    multiplicity = log10_multiplicity(32, share=0.5)
    t = math.sqrt(2 * math.log(10**6 * 2**48 * 64))
    assert message_log10_p(t, multiplicity) == pytest.approx(-6)
    assert t == pytest.approx(10.12, abs=0.01)


def test_unmarked_pictures_stay_under_the_bound(photo: Frame) -> None:
    """For each of many keys, t of one fixed code word on an unmarked photograph: spread 1, tail below
    exp(-T^2 / 2).
    """
    values = ChipReader.of(accumulate([photo])).read(aligned(512, 512), np.array([1.0, 3.0]))
    seeds = [hashlib.sha256(f"null {i}".encode()).digest() for i in range(KEYS)]
    ts = np.array([_t(values, seed) for seed in seeds])
    assert ts.std() == pytest.approx(1, abs=0.15)
    assert abs(ts.mean()) < 4 / math.sqrt(KEYS)
    for threshold in (1.0, 2.0, 3.0):
        assert np.mean(ts > threshold) <= math.exp(-(threshold**2) / 2) + 3 / KEYS


def _t(values: tuple[ChipValues, ...], seed: bytes) -> float:
    chips = tuple(lay_chips(seed, channel) for channel in CHANNELS)
    word = 1.0 - 2.0 * encode(encode_payload(MEDIA_ID, seed))
    return float(soft_bits(values, chips) @ word)
