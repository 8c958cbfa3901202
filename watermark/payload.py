"""Media ids and the 64-bit message that carries one (docs/spec/watermark.md, 3).

The mark carries a random number and nothing else: what it stands for lives in the registry and can be
revoked there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watermark.errors import PayloadError
from watermark.keys import FORMAT_VERSION, key_stream

ID_BITS = 48
CHECK_BITS = 16
MESSAGE_BITS = ID_BITS + CHECK_BITS
DRAWN_BITS = 32  # of the ids that `MediaId.draw` gives: all bits before these are zero
LEADING_BITS = ID_BITS - DRAWN_BITS
Bits = NDArray[np.uint8]

_HEX_ID = re.compile(r"[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class MediaId:
    """A 48-bit number that names one medium. What `draw` gives is read off weaker marks than the rest."""

    value: int

    def __post_init__(self) -> None:
        if not 0 <= self.value < 1 << ID_BITS:
            raise PayloadError(f"a media id is a number of {ID_BITS} bits, got {self.value}")

    @property
    def hex(self) -> str:
        """Twelve lower-case hexadecimal digits."""
        return f"{self.value:012x}"

    @property
    def drawn(self) -> bool:
        """Whether `draw` can have given it: below 2^32."""
        return self.value < 1 << DRAWN_BITS

    @staticmethod
    def parse(text: str) -> MediaId:
        """Read what `hex` writes; `MediaId.parse(i.hex) == i`. Raises `PayloadError` for anything else."""
        if not _HEX_ID.fullmatch(text):
            raise PayloadError(f"a media id is 12 hexadecimal digits, got {text[:40]!r}")
        return MediaId(int(text, 16))

    @staticmethod
    def draw(token_bytes: Callable[[int], bytes]) -> MediaId:
        """A new random id below 2^32; `token_bytes(n)` gives n random bytes, as that of `secrets` does."""
        return MediaId(int.from_bytes(token_bytes(DRAWN_BITS // 8), "big"))

    def __str__(self) -> str:
        return self.hex


def encode_payload(media_id: MediaId, payload_seed: bytes) -> Bits:
    """The whitened message, uint8 [64] of 0 and 1: id, most significant bit first, then its check, XOR the
    key stream.
    """
    body = media_id.value.to_bytes(6, "big")
    message = body + _check(body).to_bytes(2, "big")
    return np.unpackbits(np.frombuffer(message, np.uint8)) ^ _whitening(payload_seed)


def decode_payload(bits: Bits, payload_seed: bytes) -> MediaId | None:
    """The id in a whitened message, or None where the check does not fit; inverse of `encode_payload`."""
    message = np.packbits(bits ^ _whitening(payload_seed)).tobytes()
    body, check = message[:6], int.from_bytes(message[6:], "big")
    return MediaId(int.from_bytes(body, "big")) if check == _check(body) else None


def leading_bits(payload_seed: bytes) -> Bits:
    """The first bits, uint8 [16], that the whitened messages of all drawn ids share."""
    return _whitening(payload_seed)[:LEADING_BITS]


def _check(body: bytes) -> int:
    return crc16(bytes([FORMAT_VERSION]) + body)


def crc16(data: bytes) -> int:
    """CRC-16/IBM-3740 (also called CCITT-FALSE): polynomial 1021, initial value FFFF, no reflection."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ (0x1021 if crc & 0x8000 else 0)
            crc &= 0xFFFF
    return crc


def _whitening(payload_seed: bytes) -> Bits:
    stream = key_stream(payload_seed, "whitening", MESSAGE_BITS // 32)
    return np.unpackbits(stream.view(np.uint8))
