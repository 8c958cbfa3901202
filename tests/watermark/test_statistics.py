from __future__ import annotations

import hashlib
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.watermark.conftest import MEDIA_ID, Frame
from watermark import Band, Detector, Mark, MarkKey, decoys, detect
from watermark.coding import best_correlations, encode
from watermark.decoys import decoy_log10_p
from watermark.frontend import accumulate
from watermark.geometry import aligned
from watermark.layout import CHANNELS, Chips, lay_chips
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


def read_by(key: MarkKey, picture: Frame) -> tuple[tuple[ChipValues, ...], tuple[Chips, ...], float]:
    """Chip values of a picture, the chips of a key, and what its word for `MEDIA_ID` correlates to."""
    values = ChipReader.of(accumulate([picture])).read(aligned(*picture.shape[:2]), np.array([1.0, 3.0]))
    return (
        values,
        tuple(lay_chips(key.payload_seed, channel) for channel in CHANNELS),
        _t(values, key.payload_seed),
    )


def test_decoys_agree_with_a_mark_and_not_with_chance(photo: Frame, marked_photo: Frame, mark: Mark) -> None:
    values, chips, t = read_by(mark.key, marked_photo)
    ask = partial(decoy_log10_p, payload_seed=mark.key.payload_seed, log10_multiplicity=1.8)
    assert ask(values, chips, t=t) < -20
    values, chips, _ = read_by(mark.key, photo)
    usual = float(best_correlations(soft_bits(values, chips)[None])[0])
    assert ask(values, chips, t=usual) > -5  # what a key reads that is not there
    assert -9 < ask(values, chips, t=10.2) < -3  # the bound of 1e-6, seen by the sample


def test_decoys_see_a_reader_that_reads_too_much(
    monkeypatch: pytest.MonkeyPatch, mark: Mark, marked_photo: Frame
) -> None:
    """Were all correlations inflated by a fault, decoys would be too, and a find at the bound would fall."""
    values, chips, _ = read_by(mark.key, marked_photo)
    monkeypatch.setattr(decoys, "soft_bits", lambda *given: 1.3 * soft_bits(*given))
    assert decoys.decoy_log10_p(values, chips, mark.key.payload_seed, t=10.2, log10_multiplicity=1.8) > -3


def test_a_find_against_which_the_decoys_speak_is_inconclusive(
    monkeypatch: pytest.MonkeyPatch, detector: Detector, marked_photo: Frame
) -> None:
    assert detector.detect([marked_photo]).decoy_log10_p < -20
    monkeypatch.setattr(detect, "decoy_log10_p", lambda *given, **named: -2.9)
    found = detector.detect([marked_photo])
    assert (found.found, found.band, found.media_id) == (False, Band.INCONCLUSIVE, None)
