"""From soft bits to the message that they carry, in pictures and in sound (docs/spec/watermark.md, 9.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from watermark.coding import Soft, best_correlations, decode_list
from watermark.payload import MediaId, decode_payload, leading_bits
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

    Drawn ids are looked for on their own: their first bits are known, so a weaker word will do.
    """
    found = [
        message
        for drawn in (True, False)
        for message in _messages(soft, payload_seeds, log10_multiplicity, drawn=drawn)
    ]
    return min(found, key=lambda message: message.log10_p, default=None)


def _messages(
    soft: Soft, payload_seeds: Sequence[bytes], log10_multiplicity: float, *, drawn: bool
) -> Iterator[Message]:
    leading = np.stack([leading_bits(seed) for seed in payload_seeds]) if drawn else None
    for word, best in enumerate(best_correlations(soft, leading)):
        bound = message_log10_p(float(best), log10_multiplicity, drawn=drawn)
        if bound > LOG10_P_INCONCLUSIVE + _GATE_SLACK:
            continue
        least = least_correlation(LOG10_P_INCONCLUSIVE, log10_multiplicity, drawn=drawn)
        starts = None if leading is None else leading[word]
        for bits, t in decode_list(soft[word], starts, least=least, limit=LIST_LENGTH):
            media_id = decode_payload(bits, payload_seeds[word])
            if media_id is not None:
                log10_p = message_log10_p(t, log10_multiplicity, drawn=media_id.drawn)
                yield Message(log10_p, t, media_id, word)
                break
