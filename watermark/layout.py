"""Where the keyed chips and pilot waves lie (docs/spec/watermark.md, 5 and 6).

Everything is laid out in canonical units: the short side of the marked picture is 64, the origin is its
centre, x runs right and y down. A resize therefore moves nothing, and a crop is a similarity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watermark.coding import CODED_BITS
from watermark.keys import key_stream

SHORT_SIDE = 64.0  # canonical units
TORUS = 192.0  # units: three short sides, so that pictures up to 3:1 meet no chip twice
BLOCK = (
    16  # chips: a block of 16 x 16 holds each of the 256 coded bits once, so a crop of any block can be read
)
PILOT_WAVES = 48
PILOT_SHARE = 0.25  # of the energy of a channel


@dataclass(frozen=True)
class Channel:
    """One carrier: `chips` along a side of the torus; pilot band in cycles per short side."""

    name: str
    chips: int
    pilot_low: float
    pilot_high: float

    @property
    def spacing(self) -> float:
        """Distance between chips, canonical units."""
        return TORUS / self.chips

    @property
    def per_short_side(self) -> float:
        """Chips along the short side of the picture."""
        return self.chips / (TORUS / SHORT_SIDE)


# 48 chips per short side in Cb and 96 in Y: the bands that H.264 at CRF 28 leaves most of (measured, see
# the spec).
LUMA = Channel("Y", 288, 12.0, 36.0)
CHROMA = Channel("Cb", 144, 16.0, 28.0)
CHANNELS = (LUMA, CHROMA)


@dataclass(frozen=True)
class Chips:
    """Chips of one channel: `signs` int8 [n, n] of -1 and 1; `bits` uint8 [n, n], the coded bit each chip
    carries.
    """

    signs: NDArray[np.int8]
    bits: NDArray[np.uint8]


@dataclass(frozen=True)
class Pilot:
    """Waves of one channel: sum of cos(2 pi f.u / 64 + phase), `frequencies` float [48, 2] as (x, y) in
    cycles per short side, `phases` float [48] in radians.
    """

    frequencies: NDArray[np.float64]
    phases: NDArray[np.float64]


def lay_chips(payload_seed: bytes, channel: Channel) -> Chips:
    """The chips that a sub-key lays in a channel."""
    n, blocks = channel.chips, channel.chips // BLOCK
    stream = key_stream(payload_seed, f"signs/{channel.name}", -(-n * n // 32))
    signs = 1 - 2 * np.unpackbits(stream.view(np.uint8), bitorder="little")[: n * n].astype(np.int8)
    ranks = key_stream(payload_seed, f"bits/{channel.name}", n * n).reshape(blocks, blocks, BLOCK * BLOCK)
    # Sorting rank and place as one number is three times as fast as sorting places by rank.
    ranked = ranks.astype(np.uint64) << np.uint64(8) | np.arange(BLOCK * BLOCK, dtype=np.uint64)
    order = np.sort(ranked, axis=-1).astype(np.uint8)  # [by, bx, place in block] -> coded bit
    tiles = order.reshape(blocks, blocks, BLOCK, BLOCK)
    return Chips(signs.reshape(n, n), tiles.transpose(0, 2, 1, 3).reshape(n, n))


def lay_pilot(pilot_seed: bytes, channel: Channel) -> Pilot:
    """The pilot waves of a ring in a channel: uniform over the area of the band, one per sector of a half-
    turn.
    """
    words = key_stream(pilot_seed, f"pilot/{channel.name}", 3 * PILOT_WAVES).reshape(3, PILOT_WAVES) / 2.0**32
    radius = np.sqrt(channel.pilot_low**2 + (channel.pilot_high**2 - channel.pilot_low**2) * words[0])
    angle = np.pi * (np.arange(PILOT_WAVES) + words[1]) / PILOT_WAVES
    frequencies = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return Pilot(frequencies, 2 * np.pi * words[2])


def band_pass(cycles_per_chip: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frequency response of the pulse that each chip sends: nothing at DC, nothing above .56 cycles per
    chip.
    """
    return raised_cosine(cycles_per_chip, 0.06, 0.12) * (1 - raised_cosine(cycles_per_chip, 0.40, 0.56))


def raised_cosine(f: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """0 below `low`, 1 above `high`, half a cosine between."""
    return 0.5 - 0.5 * np.cos(np.pi * np.clip((f - low) / (high - low), 0, 1))


if CODED_BITS != BLOCK * BLOCK:
    raise RuntimeError("a block must hold every coded bit once")
