from __future__ import annotations

import hashlib
import math
from functools import partial
from itertools import product

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
from watermark.statistics import (
    least_correlation,
    log10_multiplicity,
    log10_tail,
    log10_words,
    message_log10_p,
)

KEYS = 300


@given(st.floats(-60, 60), st.floats(0, 10), st.booleans())
def test_p_is_a_falling_probability(t: float, multiplicity: float, drawn: bool) -> None:
    p = message_log10_p(t, multiplicity, drawn=drawn)
    assert p <= 0
    assert message_log10_p(t + 0.1, multiplicity, drawn=drawn) <= p


@pytest.mark.parametrize(("drawn", "bits", "expected"), [(True, 33, 8.83), (False, 49, 9.99)])
def test_p_at_the_threshold(drawn: bool, bits: int, expected: float) -> None:
    """3.178 times the normal tail times half the words times 2 x 32 tests is 1e-6 at the expected t."""
    multiplicity = log10_multiplicity(32, share=0.5)
    t = least_correlation(-6, multiplicity, drawn=drawn)
    assert t == pytest.approx(expected, abs=0.01)
    assert message_log10_p(t, multiplicity, drawn=drawn) == pytest.approx(-6)
    normal = math.erfc(t / math.sqrt(2)) / 2
    assert math.log10(3.178 * normal * 2.0**bits * 64) == pytest.approx(-6, abs=0.001)


def test_the_words_share_one_probability() -> None:
    """The union bound holds because what all words together may spend is not more than one."""
    spent = 2.0**32 * 10 ** -log10_words(drawn=True) + 2.0**48 * 10 ** -log10_words(drawn=False)
    assert spent == pytest.approx(1)


def test_the_tail_is_tight_where_it_is_known_to_be() -> None:
    """Two signs of weight 1 / sqrt 2 reach sqrt 2 a quarter of the time, which is what the bound says."""
    assert 10 ** log10_tail(math.sqrt(2)) == pytest.approx(0.25)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=10), st.floats(-1, 4))
def test_no_sum_of_signs_exceeds_the_tail(weights: list[float], t: float) -> None:
    a = np.array(weights) / np.linalg.norm(weights)
    sums = np.array(list(product((-1, 1), repeat=len(a)))) @ a
    assert np.mean(sums >= t) <= 10 ** log10_tail(t) * (1 + 1e-9)


def test_unmarked_pictures_stay_under_the_bound(photo: Frame) -> None:
    """For each of many keys, t of one fixed code word on an unmarked photograph: spread 1, tail below the
    bound.
    """
    values = ChipReader.of(accumulate([photo])).read(aligned(512, 512), np.array([1.0, 3.0]))
    seeds = [hashlib.sha256(f"null {i}".encode()).digest() for i in range(KEYS)]
    ts = np.array([_t(values, seed) for seed in seeds])
    assert ts.std() == pytest.approx(1, abs=0.15)
    assert abs(ts.mean()) < 4 / math.sqrt(KEYS)
    for threshold in (1.0, 2.0, 3.0):
        assert np.mean(ts > threshold) <= 10 ** log10_tail(threshold) + 3 / KEYS


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
    ask = partial(decoy_log10_p, payload_seed=mark.key.payload_seed, log10_multiplicity=1.8, drawn=False)
    assert ask(values, chips, t=t) < -20
    values, chips, _ = read_by(mark.key, photo)
    usual = float(best_correlations(soft_bits(values, chips)[None])[0])
    assert ask(values, chips, t=usual) > -5  # what a key reads that is not there
    assert -9 < ask(values, chips, t=10.0) < -3  # the bound of 1e-6, seen by the sample
    assert -9 < ask(values, chips, t=8.8, drawn=True) < -3  # and that of the drawn ids


def test_decoys_see_a_reader_that_reads_too_much(
    monkeypatch: pytest.MonkeyPatch, mark: Mark, marked_photo: Frame
) -> None:
    """Were all correlations inflated by a fault, decoys would be too, and a find at the bound would fall."""
    values, chips, _ = read_by(mark.key, marked_photo)
    ask = partial(decoys.decoy_log10_p, values, chips, mark.key.payload_seed, log10_multiplicity=1.8)
    monkeypatch.setattr(decoys, "soft_bits", lambda *given: 1.3 * soft_bits(*given))
    assert ask(t=10.0, drawn=False) > -3
    monkeypatch.setattr(decoys, "soft_bits", lambda *given: 1.4 * soft_bits(*given))
    assert ask(t=8.8, drawn=True) > -3  # of fewer words the best is further below the bound


def test_a_find_against_which_the_decoys_speak_is_inconclusive(
    monkeypatch: pytest.MonkeyPatch, detector: Detector, marked_photo: Frame
) -> None:
    assert detector.detect([marked_photo]).decoy_log10_p < -20
    monkeypatch.setattr(detect, "decoy_log10_p", lambda *given, **named: -2.9)
    found = detector.detect([marked_photo])
    assert (found.found, found.band, found.media_id) == (False, Band.INCONCLUSIVE, None)
