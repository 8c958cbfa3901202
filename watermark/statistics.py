"""Bounds on false positives that hold for every picture (docs/spec/watermark.md, 10)."""

from __future__ import annotations

import math

from scipy import special

from watermark.payload import DRAWN_BITS, ID_BITS

LOG10_P_DETECTED = -6.0  # a message with its check right counts as detected from here down
LOG10_P_INCONCLUSIVE = -3.0  # and is worth a second look from here down
_OVER_NORMAL = 1 / (4 * special.ndtr(-math.sqrt(2)))  # 3.178


def log10_multiplicity(tests: int, *, share: float) -> float:
    """What a stage of `tests` message reads costs that may spend `share` of the false-positive probability.

    Stages are fixed in advance, so that stopping early does not spoil the bound.
    """
    return math.log10(max(tests, 1) / share)


def log10_tail(t: float) -> float:
    """Bound on the chance that one word reaches `t` in one test, over the choice of the key.

    For fixed x, signs s drawn by fair coin make t = sum s_i x_i / sqrt(sum x_i^2) a weighted Rademacher sum,
    P(t >= T) <= 3.178 P(normal >= T), the best constant there is (Bentkus and Dzindzalieta, Bernoulli 21(2),
    2015, theorem 1.1).
    """
    return min(0.0, math.log10(_OVER_NORMAL) + float(special.log_ndtr(-t)) / math.log(10))


def message_log10_p(t: float, log10_multiplicity: float, *, drawn: bool) -> float:
    """Bound on the chance that any word reaches evidence as strong as one that carries a drawn id, or
    another id, and reaches `t`, in any of the tests.

    Weights of the words are fixed: the 2^32 drawn ids share one half of the false-positive probability, all
    2^48 the other.
    """
    return min(0.0, log10_words(drawn=drawn) + log10_multiplicity + log10_tail(t))


def log10_words(*, drawn: bool) -> float:
    """By how much the union over code words multiplies the chance of a single one."""
    return (1 + (DRAWN_BITS if drawn else ID_BITS)) * math.log10(2)


def least_correlation(log10_p: float, log10_multiplicity: float, *, drawn: bool) -> float:
    """The `t` at which `message_log10_p` comes down to `log10_p`."""
    tail = log10_p - log10_words(drawn=drawn) - log10_multiplicity
    return float(-special.ndtri_exp(min(tail - math.log10(_OVER_NORMAL), -math.log10(2)) * math.log(10)))
