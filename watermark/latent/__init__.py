"""The same mark put into latents, so that any decode of them carries it: for latents that leave before they
are decoded (docs/adr/0006-latent-embedder.md says when to use which).
"""

from watermark.latent.embed import LatentEmbedder, LatentMark
from watermark.latent.response import Response, calibrate, decoder_digest

__all__ = ["LatentEmbedder", "LatentMark", "Response", "calibrate", "decoder_digest"]
