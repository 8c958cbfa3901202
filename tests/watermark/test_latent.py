"""The latent embedder: decoders measured from outside, marked latents found by the ordinary detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle

from tests.watermark.conftest import SHARED, Frame
from watermark import Detector, EmbeddingError, Mark
from watermark.latent import LatentEmbedder, Response, calibrate, decoder_digest

CELL, CHANNELS = 8, 48


class Cosines(nn.Module):
    """A decoder like half of JPEG: the lowest 4 x 4 cosines of each 8 x 8 square in R, G and B, and a gentle
    curve.
    """

    def __init__(self) -> None:
        super().__init__()
        n = torch.arange(CELL)
        wave = torch.cos(torch.pi * (n[None] + 0.5) * torch.arange(4)[:, None] / CELL)
        basis = torch.einsum("ay,bx->abyx", wave, wave).reshape(16, CELL**2)
        self.basis = nn.Parameter(torch.kron(torch.eye(3), basis).T / 8, requires_grad=False)

    def decode(self, latents: Tensor) -> Tensor:
        """[B, 48, (F,) h, w] to [B, 3, (F,) 8 h, 8 w]."""
        if latents.ndim == 5:
            return torch.stack([self.decode(frame) for frame in latents.unbind(2)], dim=2)
        planes = torch.einsum("pc,bchw->bphw", self.basis, latents)
        return torch.tanh(pixel_shuffle(planes, CELL))

    def encode(self, picture: Frame) -> Tensor:
        """The latents of uint8 [H, W, 3], by least squares."""
        wanted = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 140 - 255 / 280
        planes = nn.functional.pixel_unshuffle(torch.atanh(wanted), CELL)
        return torch.einsum("cp,bphw->bchw", torch.linalg.pinv(self.basis), planes)


@pytest.fixture(scope="module")
def vae() -> Cosines:
    return Cosines()


@pytest.fixture(scope="module")
def embedder(vae: Cosines) -> LatentEmbedder:
    return LatentEmbedder(calibrate(vae.decode, CHANNELS, probes=3, side=24))


def pictures(decoded: Tensor) -> Frame:
    frames: Frame = ((decoded.clamp(-1, 1) + 1) * 127.5).round().byte().movedim(1, -1).numpy()
    return frames


def test_a_decoder_is_known_from_its_answers_to_noise(embedder: LatentEmbedder) -> None:
    assert embedder.response.scale == CELL
    assert embedder.response.channels == CHANNELS
    assert embedder.response.explained >= 0.9


@pytest.mark.parametrize("corrections", [0, 3])
def test_what_is_decoded_from_marked_latents_carries_the_mark(
    vae: Cosines, embedder: LatentEmbedder, mark: Mark, detector: Detector, corrections: int
) -> None:
    latents = vae.encode(data.astronaut())
    made = embedder.apply(latents, mark, vae.decode, corrections=corrections)
    assert made.latents.shape == latents.shape
    assert not made.latents.requires_grad
    assert made.cosine >= 0.8
    plain, marked = pictures(vae.decode(latents)), pictures(vae.decode(made.latents))
    error = np.mean((plain.astype(float) - marked) ** 2)
    assert 10 * np.log10(255**2 / error) >= 40
    assert detector.detect(marked).media_id == mark.media_id
    assert detector.detect(plain).media_id is None


def test_corrections_come_closer_to_the_pattern(vae: Cosines, embedder: LatentEmbedder, mark: Mark) -> None:
    latents = vae.encode(data.astronaut()[:256, :256])
    cosines = [embedder.apply(latents, mark, vae.decode, corrections=n).cosine for n in (0, 8)]
    assert cosines[1] > cosines[0]


def test_a_clip_carries_one_pattern_in_all_its_latents(vae: Cosines, mark: Mark, detector: Detector) -> None:
    embedder = LatentEmbedder(calibrate(vae.decode, CHANNELS, video=True, probes=3, side=24))
    frames = [vae.encode(data.astronaut()[shift : shift + 384, :384]) for shift in (0, 8, 16)]
    latents = torch.stack(frames, dim=2)
    made = embedder.apply(latents, mark, vae.decode)
    delta = made.latents - latents
    assert torch.allclose(delta, delta[:, :, :1].expand_as(delta), atol=1e-5)
    clip = pictures(vae.decode(made.latents)[0].transpose(0, 1))
    assert detector.detect(clip).media_id == mark.media_id


def test_dtype_is_kept(vae: Cosines, embedder: LatentEmbedder, mark: Mark) -> None:
    latents = vae.encode(data.astronaut()[:256, :256]).bfloat16()
    assert embedder.apply(latents, mark, vae.decode).latents.dtype == torch.bfloat16


def test_a_calibration_is_measured_once_for_the_same_weights(vae: Cosines, tmp_path: Path) -> None:
    measured: list[Response] = []

    def measure() -> Response:
        measured.append(calibrate(vae.decode, CHANNELS, probes=1, side=16))
        return measured[-1]

    digest = decoder_digest(vae)
    first = LatentEmbedder.cached(tmp_path / "new", digest, measure)
    second = LatentEmbedder.cached(tmp_path / "new", digest, measure)
    assert len(measured) == 1
    assert torch.equal(first.response.kernel, second.response.kernel)
    other = Cosines()
    other.basis.data[0, 0] += 1
    assert decoder_digest(other) != digest


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"\x93NUMPY"])
def test_a_spoiled_calibration_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "response-0.npz"
    path.write_bytes(content)
    with pytest.raises(EmbeddingError, match="calibration"):
        LatentEmbedder.cached(tmp_path, "0", lambda: pytest.fail("measured"))


def test_what_cannot_be_marked_is_refused(vae: Cosines, embedder: LatentEmbedder, mark: Mark) -> None:
    with pytest.raises(EmbeddingError, match="latents must be"):
        embedder.apply(torch.zeros(1, 4, 32, 32), mark, vae.decode)
    with pytest.raises(EmbeddingError, match="short side"):
        embedder.apply(torch.zeros(1, CHANNELS, 8, 8), mark, vae.decode)
    with pytest.raises(EmbeddingError, match="autograd"):
        embedder.apply(torch.zeros(1, CHANNELS, 32, 32), mark, torch.no_grad()(vae.decode), corrections=1)
    with pytest.raises(EmbeddingError, match="decode made"):
        calibrate(lambda latents: latents, 4)


@pytest.mark.slow
def test_a_real_autoencoder(mark: Mark, detector: Detector, tmp_path: Path) -> None:
    """A distilled decoder of the latent space of FLUX.2: one frame of H.264 CRF 18, with corrections."""
    from bench.latent.taef2 import LATENT_CHANNELS, Taef2
    from watermark import open_media, write_video

    folder = SHARED / "data" / "vae"
    if not folder.is_dir():
        pytest.skip(f"no autoencoder at {folder}")
    vae = Taef2.load(folder)
    embedder = LatentEmbedder(calibrate(vae.decode, LATENT_CHANNELS, probes=2))
    picture = torch.from_numpy(data.astronaut()[:384, :384].copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        latents = vae.encode(picture)
    made = embedder.apply(latents, mark, vae.decode, corrections=3)
    assert made.psnr >= 40
    with torch.no_grad():
        marked = pictures(vae.decode(made.latents))
    write_video(tmp_path / "one.mp4", marked, fps=24, crf=18)
    assert detector.detect(open_media(tmp_path / "one.mp4").frames()).media_id == mark.media_id
