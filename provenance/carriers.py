"""Where XMP packets and text fields lie in JPEG, PNG, WebP, WAV, MP3 and FLAC files: written, nothing moved.

Every function takes a whole file and gives a whole file. Raises ValueError where the parts do not fit.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

_PACKET: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{}</rdf:RDF>'
    '</x:xmpmeta><?xpacket end="r"?>'
)
_END_OF_RDF: Final = b"</rdf:RDF>"
_JPEG_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_PNG_XMP: Final = b"XML:com.adobe.xmp\0"
_PNG_HEAD: Final = 8
_WEBP_HAS_XMP, _WEBP_HAS_ALPHA = 0x04, 0x10


def xmp_packet(statement: str) -> bytes:
    """A whole XMP packet (ISO 16684-1) around one `rdf:Description`."""
    return _PACKET.format(statement).encode()


def merged(packet: bytes, statement: str) -> bytes:
    """An earlier packet with one more `rdf:Description`; what it says already stays."""
    place = packet.rfind(_END_OF_RDF)
    if place < 0:
        raise ValueError("its XMP packet is not one")
    return packet[:place] + statement.encode() + packet[place:]


def jpeg(content: bytes, statement: str) -> bytes:
    """An APP1 segment (XMP Part 3, 1.1.3) behind JFIF and Exif, or the one there is with more in it."""
    start = 2
    if content[start : start + 1] != b"\xff":
        raise ValueError("its segments are not where they belong")
    while content[start : start + 1] == b"\xff" and content[start + 1] in (0xE0, 0xE1):
        end = start + 2 + int.from_bytes(content[start + 2 : start + 4], "big")
        if content[start + 4 : end].startswith(_JPEG_XMP):
            earlier = content[start + 4 + len(_JPEG_XMP) : end]
            return content[:start] + _app1(merged(earlier, statement)) + content[end:]
        start = end
    return content[:start] + _app1(xmp_packet(statement)) + content[start:]


def _app1(packet: bytes) -> bytes:
    body = _JPEG_XMP + packet
    if len(body) + 2 > 0xFFFF:
        raise ValueError("its XMP packet leaves no room for more")
    return b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body


def png(content: bytes, statement: str) -> bytes:
    """An uncompressed iTXt chunk (XMP Part 3, 1.1.5) behind IHDR, in place of an earlier one."""
    start, packet, kept = _PNG_HEAD, xmp_packet(statement), []
    while start < len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        chunk = content[start:end]
        if chunk[4:8] == b"iTXt" and chunk[8:].startswith(_PNG_XMP):
            packet = merged(_itxt_text(chunk[8 + len(_PNG_XMP) : -4]), statement)
        else:
            kept.append(chunk)
        start = end
    body = b"iTXt" + _PNG_XMP + b"\0\0\0\0" + packet
    made = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return content[:_PNG_HEAD] + kept[0] + made + b"".join(kept[1:])


def _itxt_text(fields: bytes) -> bytes:
    """Compression flag and method, language, translated keyword, then the text."""
    if fields[:1] != b"\0":
        raise ValueError("its XMP packet is compressed")
    return fields[2:].split(b"\0", 2)[2]


def webp(content: bytes, statement: str) -> bytes:
    """An `XMP ` chunk at the end (WebP container specification), with the header that announces it."""
    start, packet, kept = 12, xmp_packet(statement), []
    while start + 8 <= len(content):
        length = int.from_bytes(content[start + 4 : start + 8], "little")
        end = start + 8 + length + length % 2
        if content[start : start + 4] == b"XMP ":
            packet = merged(content[start + 8 : start + 8 + length], statement)
        else:
            kept.append(content[start:end])
        start = end
    if kept[0][:4] != b"VP8X":
        kept.insert(0, _extended_header(kept[0]))
    first = bytearray(kept[0])
    first[8] |= _WEBP_HAS_XMP
    return _riff(b"WEBP", [bytes(first), *kept[1:], _chunk(b"XMP ", packet)])


def _extended_header(image: bytes) -> bytes:
    """A VP8X chunk for a file that had none: canvas size, and whether there is transparency."""
    data, flags = image[8:], 0
    if image[:4] == b"VP8L":
        bits = int.from_bytes(data[1:5], "little")
        width, height = bits & 0x3FFF, bits >> 14 & 0x3FFF  # each less one
        flags = _WEBP_HAS_ALPHA if bits >> 28 & 1 else 0
    elif image[:4] == b"VP8 " and data[3:6] == b"\x9d\x01\x2a":
        width = (int.from_bytes(data[6:8], "little") & 0x3FFF) - 1
        height = (int.from_bytes(data[8:10], "little") & 0x3FFF) - 1
    else:
        raise ValueError("its picture chunk is not where it belongs")
    size = width.to_bytes(3, "little") + height.to_bytes(3, "little")
    return _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + size)


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)


def _riff(kind: bytes, chunks: list[bytes]) -> bytes:
    body = kind + b"".join(chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def wav(content: bytes, packet: bytes, aigc: str) -> bytes:
    """Chunks `_PMX` (XMP Part 3, 1.2.4) and `AIGC` at the end."""
    if int.from_bytes(content[4:8], "little") + 8 != len(content):
        raise ValueError("its length field is wrong")
    extra = [_chunk(b"_PMX", packet), *([_chunk(b"AIGC", aigc.encode())] if aigc else [])]
    return _riff(b"WAVE", [content[12:] + b"\0" * (len(content) % 2), *extra])


def mp3(content: bytes, packet: bytes, aigc: str) -> bytes:
    """ID3v2.3 frames: PRIV for XMP (XMP Part 3, 1.2.3), TXXX for the label; a tag of version 3 or 4 is
    kept."""
    frames, sound, version = b"", content, 3
    if content[:3] == b"ID3":
        version, flags = content[3], content[5]
        if version not in (3, 4) or flags:
            raise ValueError("its ID3 tag is of a kind that is not extended")
        size = _from_synchsafe(content[6:10])
        frames, sound = content[10 : 10 + size].rstrip(b"\0"), content[10 + size :]
        frames += b"\0" * (_frames_end(frames, version) - len(frames))  # zeros that belong to the last one
    frames += _frame(b"PRIV", b"XMP\0" + packet, version)
    if aigc:
        frames += _frame(b"TXXX", b"\0AIGC\0" + aigc.encode(), version)
    return b"ID3" + bytes([version, 0, 0]) + _synchsafe(len(frames)) + frames + sound


def _frames_end(frames: bytes, version: int) -> int:
    start = 0
    while start + 10 <= len(frames):
        size = frames[start + 4 : start + 8]
        start += 10 + (_from_synchsafe(size) if version == 4 else int.from_bytes(size, "big"))
    return start


def _frame(name: bytes, body: bytes, version: int) -> bytes:
    size = _synchsafe(len(body)) if version == 4 else len(body).to_bytes(4, "big")
    return name + size + b"\0\0" + body


def _synchsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def _from_synchsafe(data: bytes) -> int:
    return sum(byte << shift for byte, shift in zip(data, (21, 14, 7, 0), strict=True))


def flac(content: bytes, packet: bytes, aigc: str) -> bytes:
    """Comments `AIGC` and `XMP` in the Vorbis comment block (RFC 9639, 8.6); XMP names no place of its
    own."""
    start, last = 4, False
    while not last:
        last = bool(content[start] & 0x80)
        kind, size = content[start] & 0x7F, int.from_bytes(content[start + 1 : start + 4], "big")
        body = content[start + 4 : start + 4 + size]
        if kind == 4:
            changed = _with_comments(body, [b"XMP=" + packet, *([b"AIGC=" + aigc.encode()] if aigc else [])])
            head = content[start : start + 1] + len(changed).to_bytes(3, "big")
            return content[:start] + head + changed + content[start + 4 + size :]
        start += 4 + size
    raise ValueError("it has no comment block")


def _with_comments(body: bytes, more: list[bytes]) -> bytes:
    vendor = int.from_bytes(body[:4], "little")
    place = 4 + vendor
    count = int.from_bytes(body[place : place + 4], "little") + len(more)
    added = b"".join(len(text).to_bytes(4, "little") + text for text in more)
    return body[:place] + count.to_bytes(4, "little") + body[place + 4 :] + added


PICTURES: Final[dict[str, Callable[[bytes, str], bytes]]] = {
    "image/jpeg": jpeg,
    "image/png": png,
    "image/webp": webp,
}
SOUNDS: Final[dict[str, Callable[[bytes, bytes, str], bytes]]] = {
    "audio/wav": wav,
    "audio/mpeg": mp3,
    "audio/flac": flac,
}
