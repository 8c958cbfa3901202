"""The attack that needs ids is not weaker than docs/robustness.md says."""

import numpy as np
import pytest

from bench.watermark import synthetic
from bench.watermark.informed import learn
from bench.watermark.security import SIDE, informed, mark_picture
from bench.watermark.systems import media_id_of, ring_of
from watermark.layout import CHANNELS, CHROMA, lay_chips


@pytest.mark.slow
def test_thirty_outputs_with_their_ids_give_a_sub_key_away() -> None:
    outputs = [mark_picture(synthetic.scene(SIDE, SIDE, seed=n), n) for n in range(30)]
    chroma = learn(outputs, [media_id_of(n) for n in range(30)])[CHANNELS.index(CHROMA)]
    true = lay_chips(ring_of(0).subkey(0).payload_seed, CHROMA)
    shown = chroma.signs != 0
    assert np.mean((chroma.bits == true.bits)[shown]) >= 0.5
    (forged,) = informed(outputs, synthetic.scene(SIDE, SIDE, seed=999), [])
    assert forged.message
