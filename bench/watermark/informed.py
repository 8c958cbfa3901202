"""Learning the secret chips of one sub-key from outputs whose ids are known, as they are to any customer.

The format is public: where chips can lie, the code, the filters. Secret are the sign of each chip and the
coded bit that it carries. Across outputs the chips of a bit change sign together with that bit of the code
word, which the id tells; the whitening turns some bits over, but the same ones each time. So correlating what
each chip shows with the code words finds its bit and sign at once. With those, any id can be written, and any
mark redrawn.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.watermark.attacks import Frames
from watermark import MediaId
from watermark.coding import encode
from watermark.frontend import accumulate
from watermark.geometry import aligned
from watermark.layout import CHANNELS, Channel, Chips
from watermark.pattern import canonical_grid, render_chips
from watermark.payload import encode_payload
from watermark.soft_bits import ChipReader

LUMA_TO_CHROMA = 0.4
"""Proportion of the channels in calm places."""
_ANY_SEED = bytes(32)

Learnt = tuple[Chips, ...]
"""Bits and signs by channel; sign 0 where no output showed the chip."""


def code_word(media_id: MediaId) -> NDArray[np.float32]:
    """+-1 for each coded bit, but for a constant pattern of signs that only the key tells."""
    return np.asarray(1.0 - 2.0 * encode(encode_payload(media_id, _ANY_SEED)), np.float32)


def learn(outputs: Sequence[Frames], ids: Sequence[MediaId]) -> Learnt:
    """Bit and sign of every chip that the outputs, [H, W, 3] of one size, show."""
    words = np.stack([code_word(media_id) for media_id in ids])
    seen = [_read(output) for output in outputs]
    learnt = []
    for index, channel in enumerate(CHANNELS):
        answers = np.stack([values[index][1] for values in seen]).T @ words  # [chips, 256]
        bits = np.abs(answers).argmax(1)
        signs = np.sign(answers[np.arange(len(bits)), bits])
        learnt.append(_chips(channel, seen[0][index][0], bits, signs))
    return tuple(learnt)


def render_learnt(learnt: Learnt, media_id: MediaId, height: int, width: int) -> NDArray[np.float32]:
    """The mark of an id under learnt chips, as a change of R, G and B: float32 [height, width, 3]."""
    word = code_word(media_id)
    y, x = canonical_grid(height, width, 1)
    luma, blue = (
        render_chips(chips.signs * word[chips.bits], channel, y, x)
        for channel, chips in zip(CHANNELS, learnt, strict=True)
    )
    luma = LUMA_TO_CHROMA * luma
    return np.asarray(np.stack([luma, luma - 0.344136 * blue, luma + 1.772 * blue], axis=-1), np.float32)


def _read(picture: Frames) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Places and values of the chips of each channel, limited so that no picture outweighs the others."""
    chips = ChipReader.of(accumulate([picture])).read(aligned(*picture.shape[:2]), np.ones(len(CHANNELS)))
    return [(c.places, np.tanh(c.values / (np.abs(c.values).mean() + 1e-12))) for c in chips]


def _chips(
    channel: Channel, places: NDArray[np.int64], bits: NDArray[np.int64], signs: NDArray[np.float32]
) -> Chips:
    laid_signs, laid_bits = np.zeros(channel.chips**2, np.int8), np.zeros(channel.chips**2, np.uint8)
    laid_signs[places], laid_bits[places] = signs, bits
    shape = (channel.chips, channel.chips)
    return Chips(laid_signs.reshape(shape), laid_bits.reshape(shape))
