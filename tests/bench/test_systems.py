"""Our own mark through the bench's interface, and peers that say how to enable them."""

from pathlib import Path

import numpy as np
import pytest

from bench.watermark import attacks as a
from bench.watermark import synthetic
from bench.watermark.errors import UnavailableError
from bench.watermark.metrics import psnr
from bench.watermark.peers import FramewisePeer, judge, message_bits
from bench.watermark.runner import attacked_reading
from bench.watermark.systems import Trial, finite, load_system, media_id_of, ring_of, system_names


def test_our_mark_is_read_back_blind_with_its_geometry() -> None:
    system = load_system("assay")
    picture = synthetic.scene(384, 384, seed=1)[None]
    marked = system.embed(picture, Trial(1, 2))
    assert psnr(picture, marked) >= 42
    reading, error = attacked_reading(system, marked, a.Resize(0.8), Trial(1, 2), "scene")
    assert reading.recovered
    assert reading.log10_p <= -6
    assert error is not None
    assert error < 1
    assert not system.detect(marked, Trial(0, 2)).recovered
    assert not system.detect(marked, Trial(1, 3)).recovered


def test_trials_have_secrets_of_their_own() -> None:
    assert len({media_id_of(number).value for number in range(50)}) == 50
    assert ring_of(0).subkey(0) != ring_of(1).subkey(0)
    assert finite(float("-inf")) < -1000


@pytest.mark.parametrize("name", ["videoseal", "pixelseal"])
def test_seals_say_which_file_they_need(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=rf"{name}\.jit"):
        load_system(name, tmp_path)


def test_unknown_and_missing_systems_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(system_names()) >= {"assay", "dwtDct", "dwtDctSvd", "rivaGan", "blind-watermark", "trustmark"}
    with pytest.raises(UnavailableError, match="known are assay"):
        load_system("nonesuch")
    for module in ("imwatermark", "blind_watermark", "trustmark"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    for name in ("dwtDct", "blind-watermark", "trustmark"):
        with pytest.raises(UnavailableError, match="pip install"):
            load_system(name)


class Parity(FramewisePeer):
    """Writes each bit into the parity of a row of pixels."""

    name = "parity"
    bits = 32

    def mark_frame(self, frame: a.Frames, bits: np.ndarray) -> a.Frames:
        marked = frame.copy()
        marked[:32, 0, 0] = marked[:32, 0, 0] // 2 * 2 + bits
        return marked

    def read_frame(self, frame: a.Frames) -> np.ndarray:
        if len(frame) < 32:
            raise ValueError("too small")
        return (frame[:32, 0, 0] % 2).astype(np.float64)


def test_framewise_peers_average_their_frames(clip: a.Frames) -> None:
    peer = Parity()
    marked = peer.embed(clip, Trial(0, 1))
    right = peer.detect(marked, Trial(0, 1))
    assert (right.recovered, right.bit_accuracy) == (True, 1.0)
    assert right.log10_p == pytest.approx(-32 * np.log10(2))
    assert not peer.detect(marked, Trial(0, 2)).recovered
    assert not peer.detect(marked[:, :16], Trial(0, 1)).recovered


def test_one_wrong_bit_is_not_recovered() -> None:
    truth = message_bits(Trial(0, 0), 64)
    wrong = truth.astype(float)
    wrong[5] = 1 - wrong[5]
    assert judge(truth.astype(float), truth, 0.0).recovered
    reading = judge(wrong, truth, 0.0)
    assert (reading.recovered, reading.bit_accuracy) == (False, 63 / 64)
