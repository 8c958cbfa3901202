"""The latent embedder measured beside the late one: `python -m bench.latent`."""
