"""Bounds on false positives that hold for every picture (docs/spec/watermark.md, 10)."""

from __future__ import annotations

import math

from watermark.payload import ID_BITS

LOG10_P_DETECTED = -6.0  # a message with its check right counts as detected from here down
LOG10_P_INCONCLUSIVE = -3.0  # and is worth a second look from here down


def log10_multiplicity(tests: int, *, share: float) -> float:
    """What a stage of `tests` message reads costs that may spend `share` of the false-positive probability.

    Stages are fixed in advance, so that stopping early does not spoil the bound.
    """
    return math.log10(max(tests, 1) / share)


def message_log10_p(t: float, log10_multiplicity: float) -> float:
    """Bound on the chance that any of 2^48 code words reaches `t` in any of the tests, over the choice of
    the key.

    For fixed x, signs s drawn by fair coin make t = sum s_i x_i / sqrt(sum x_i^2) sub-Gaussian, P(t > T) <=
    exp(-T^2 / 2) (Hoeffding, JASA 58, 1963, theorem 2); the union over words and tests multiplies.
    """
    if t <= 0:
        return 0.0
    return min(0.0, ID_BITS * math.log10(2) + log10_multiplicity - t * t / 2 / math.log(10))


def least_correlation(log10_p: float, log10_multiplicity: float) -> float:
    """The `t` at which `message_log10_p` comes down to `log10_p`."""
    decades = ID_BITS * math.log10(2) + log10_multiplicity - log10_p
    return math.sqrt(max(0.0, 2 * math.log(10) * decades))
