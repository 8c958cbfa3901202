"""From soft bits to the message that they carry, in pictures and in sound (docs/spec/watermark.md, 9.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from watermark.coding import EITHER, Soft, best_correlations, decode_list
from watermark.payload import Bits, MediaId, decode_payload, leading_bits
from watermark.statistics import LOG10_P_INCONCLUSIVE, least_correlation, message_log10_p

LIST_LENGTH = 4096  # code words whose check is looked at, of those within the bound: few pictures have ten
_GATE_SLACK = (
    1.0  # decades: the best path through the trellis is a bound on code words, but for ties that it broke
)


@dataclass(frozen=True)
class Message:
    """A message that was read with its check right: off word number `word`, to which it correlates by `t`."""

    log10_p: float
    t: float
    media_id: MediaId
    word: int


def read_message(soft: Soft, payload_seeds: Sequence[bytes], log10_multiplicity: float) -> Message | None:
    """The strongest message at 10^-3 or better in received words, float [n, 256], of the sub-keys with these
    payload seeds.

    Where none of all ids is found, drawn ones are looked for on their own: their first bits are known, so a
    weaker word will do.
    """
    leading = np.stack([leading_bits(seed) for seed in payload_seeds])
    free = np.full_like(leading, EITHER)
    best = best_correlations(np.concatenate([soft, soft]), np.concatenate([free, leading]))
    found = []
    for word, (any_id, drawn_id) in enumerate(best.reshape(2, -1).T):
        read = partial(_decode, soft[word], payload_seeds[word], word, log10_multiplicity)
        found.append(read(float(any_id), None) or read(float(drawn_id), leading[word]))
    return min(filter(None, found), key=lambda message: message.log10_p, default=None)


def _decode(
    soft: Soft, seed: bytes, word: int, log10_multiplicity: float, best: float, leading: Bits | None
) -> Message | None:
    """The likeliest message of one word whose check is right, of those that begin with `leading`; no path
    correlates to more than `best`."""
    drawn = leading is not None
    if message_log10_p(best, log10_multiplicity, drawn=drawn) > LOG10_P_INCONCLUSIVE + _GATE_SLACK:
        return None
    least = least_correlation(LOG10_P_INCONCLUSIVE, log10_multiplicity, drawn=drawn)
    for bits, t in decode_list(soft, leading, least=least, limit=LIST_LENGTH):
        media_id = decode_payload(bits, seed)
        if media_id is not None:
            return Message(message_log10_p(t, log10_multiplicity, drawn=media_id.drawn), t, media_id, word)
    return None
