"""A second look at a find: what keys that marked nothing read off the same file (docs/spec/watermark.md, 10).

The bound of `statistics` is a proof and needs no sample. This is the sample: should a fault of the reader, or
a file made to provoke one, give messages more easily than chance does, keys that cannot be in the file show
it.
"""

from __future__ import annotations

import math

import numpy as np

from watermark.coding import best_correlations
from watermark.keys import key_stream
from watermark.layout import Chips
from watermark.payload import CHECK_BITS, leading_bits
from watermark.soft_bits import ChipValues, soft_bits

DECOYS = 64
_GUMBEL_SCALE = math.sqrt(6) / math.pi  # of the deviation
_GUMBEL_SHIFT = 0.5772156649  # Euler's constant: scales by which the mean lies above the mode


def decoy_log10_p(
    values: tuple[ChipValues, ...],
    chips: tuple[Chips, ...],
    payload_seed: bytes,
    *,
    t: float,
    log10_multiplicity: float,
    drawn: bool,
) -> float:
    """Estimated chance that a key which marked nothing reads a message, of a drawn id or of another, that
    correlates to `t`.

    `chips` are those of the sub-key that read the message off `values`; each decoy has signs of its own in
    their places. What the best path through the code correlates to follows a Gumbel law (the largest of very
    many), fitted by its moments; the check lets one in 2^16 pass. An estimate, not a bound: trust its first
    few decades, since 64 reads support no more.
    """
    sizes = [laid.signs.size for laid in chips]
    words = -(-sum(sizes) // 32)
    stream = key_stream(payload_seed, "decoys", DECOYS * words).view(np.uint8).reshape(DECOYS, -1)
    soft = np.stack([soft_bits(values, _with_signs(chips, sizes, row)) for row in stream])
    leading = np.tile(leading_bits(payload_seed), (DECOYS, 1)) if drawn else None
    best = best_correlations(soft, leading).astype(np.float64)
    scale = max(float(best.std(ddof=1)) * _GUMBEL_SCALE, 1e-9)
    mode = float(best.mean()) - _GUMBEL_SHIFT * scale
    words_above = -(t - mode) / scale / math.log(10)
    return min(0.0, words_above + (1 - CHECK_BITS) * math.log10(2) + log10_multiplicity)


def _with_signs(chips: tuple[Chips, ...], sizes: list[int], row: np.ndarray) -> tuple[Chips, ...]:
    """The same chips with other signs, one bit of `row` each."""
    signs = 1 - 2 * np.unpackbits(row)[: sum(sizes)].astype(np.int8)
    parts = np.split(signs, np.cumsum(sizes)[:-1])
    return tuple(
        Chips(part.reshape(laid.signs.shape), laid.bits) for part, laid in zip(parts, chips, strict=True)
    )
