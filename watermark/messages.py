"""From soft bits to the message that they carry, in pictures and in sound (docs/spec/watermark.md, 9.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from watermark.coding import Soft, best_correlations, decode_list
from watermark.payload import Bits, MediaId, decode_payload, leading_bits
from watermark.statistics import LOG10_P_INCONCLUSIVE, least_correlation, message_log10_p

LIST_LENGTH = 4096  # code words whose check is looked at, of those within the bound: few pictures have ten
_EITHER = 2
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
    any_id, drawn_id = _best(soft, leading)
    found: dict[int, Message] = {}
    for drawn, best, start in ((False, any_id, None), (True, drawn_id, leading)):
        bounds = [message_log10_p(float(t), log10_multiplicity, drawn=drawn) for t in best]
        promising = (i for i, bound in enumerate(bounds) if bound <= LOG10_P_INCONCLUSIVE + _GATE_SLACK)
        for word in promising:
            if word not in found:
                found |= _decode(soft, payload_seeds, word, log10_multiplicity, start)
    return min(found.values(), key=lambda message: message.log10_p, default=None)


def _best(soft: Soft, leading: Bits) -> tuple[Soft, Soft]:
    """What any path correlates to at most in each word, and what any does that begins with `leading`."""
    both = np.concatenate([np.full_like(leading, _EITHER), leading])
    best = best_correlations(np.concatenate([soft, soft]), both)
    return best[: len(soft)], best[len(soft) :]


def _decode(
    soft: Soft, payload_seeds: Sequence[bytes], word: int, log10_multiplicity: float, leading: Bits | None
) -> dict[int, Message]:
    """The likeliest message whose check is right in one word, by its number; empty where there is none."""
    least = least_correlation(LOG10_P_INCONCLUSIVE, log10_multiplicity, drawn=leading is not None)
    start = None if leading is None else leading[word]
    for bits, t in decode_list(soft[word], start, least=least, limit=LIST_LENGTH):
        media_id = decode_payload(bits, payload_seeds[word])
        if media_id is not None:
            log10_p = message_log10_p(t, log10_multiplicity, drawn=media_id.drawn)
            return {word: Message(log10_p, t, media_id, word)}
    return {}
