"""Metadata into MP4, QuickTime and AVIF files, with every offset that points behind it set right.

MP4: ISO/IEC 14496-12; metadata keys: QuickTime File Format, "Metadata"; the XMP box: XMP Part 3, 1.2.7.
AVIF: ISO/IEC 23008-12, 9. Everything here raises ValueError where the boxes do not fit together.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from provenance import carriers
from provenance.boxes import Box, boxes_in, make_box, top_level_boxes

XMP_UUID: Final = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
MAX_MOOV_BYTES: Final = 256 << 20
"""An index of a day of video has 50 MB."""
_TABLES: Final = (b"trak", b"mdia", b"minf", b"stbl")


def append_xmp(path: Path, packet: bytes) -> None:
    """Write an XMP box at the end of a file; an index of fragments, which readers look for there, stays
    last."""
    last = list(top_level_boxes(path))[-1]
    if last.open or last.end != path.stat().st_size:
        raise ValueError("its last box does not end with the file")
    box = make_box(b"uuid", XMP_UUID + packet)
    with path.open("r+b") as file:
        file.seek(last.start)
        index = file.read() if last.kind == b"mfra" else b""
        file.seek(-len(index), 2)
        file.write(box + index)


def insert_movie_key(source: Path, target: Path, key: str, text: str) -> None:
    """Copy `source` with metadata `key` = `text` in moov.udta.meta. A fragmented file is copied as it is: its
    fragments are found by offsets of many kinds."""
    boxes = list(top_level_boxes(source))
    moov = next((box for box in boxes if box.kind == b"moov"), None)
    if moov is None or moov.end - moov.start > MAX_MOOV_BYTES:
        raise ValueError("it has no index that could be extended")
    if any(box.kind == b"moof" for box in boxes):
        shutil.copyfile(source, target)
        return
    with source.open("rb") as reading, target.open("wb") as writing:
        _copy(reading, writing, moov.start)
        content = reading.read(moov.end - moov.start)[moov.head :]
        extended = _with_user_data(content, key, text)
        grown = len(extended) + 8 - (moov.end - moov.start)
        writing.write(make_box(b"moov", _shifted(extended, moov.start, grown)))
        shutil.copyfileobj(reading, writing, 1 << 20)


def _copy(reading: BinaryIO, writing: BinaryIO, count: int) -> None:
    while count > 0:
        piece = reading.read(min(count, 1 << 20))
        if not piece:
            raise ValueError("it ends before its index")
        writing.write(piece)
        count -= len(piece)


def _with_user_data(moov: bytes, key: str, text: str) -> bytes:
    """The content of `moov` with one more key in its user data."""
    for child in boxes_in(moov):
        if child.kind == b"udta":
            inside = moov[child.start + child.head : child.end]
            if inside.endswith(bytes(4)) and not _fills(inside):
                inside = inside[:-4]  # QuickTime may end user data with four zeros
            return moov[: child.start] + make_box(b"udta", _with_key(inside, key, text)) + moov[child.end :]
    return moov + make_box(b"udta", _with_key(b"", key, text))


def _with_key(user_data: bytes, key: str, text: str) -> bytes:
    """A key of a table that is there already, or of one of its own: readers know one table by its keys."""
    for box in boxes_in(user_data):
        content = user_data[box.start + box.head + 4 : box.end]
        if box.kind == b"meta" and content[4:8] == b"hdlr" and content[16:20] == b"mdta":
            made = make_box(b"meta", user_data[box.start + box.head :][:4] + _extended(content, key, text))
            return user_data[: box.start] + made + user_data[box.end :]
    handler = make_box(b"hdlr", bytes(8) + b"mdta" + bytes(13))
    table = handler + make_box(b"keys", bytes(8)) + make_box(b"ilst", b"")
    return user_data + make_box(b"meta", bytes(4) + _extended(table, key, text))


def _extended(table: bytes, key: str, text: str) -> bytes:
    """`hdlr`, `keys` and `ilst` with one more key and its UTF-8 value."""
    parts = {box.kind: table[box.start + box.head : box.end] for box in boxes_in(table)}
    count = int.from_bytes(parts[b"keys"][4:8], "big") + 1
    named = make_box(b"mdta", key.encode())
    value = make_box(b"data", (1).to_bytes(4, "big") + bytes(4) + text.encode())
    parts[b"keys"] = parts[b"keys"][:4] + count.to_bytes(4, "big") + parts[b"keys"][8:] + named
    parts[b"ilst"] += make_box(count.to_bytes(4, "big"), value)
    return b"".join(make_box(kind, body) for kind, body in parts.items())


def _fills(content: bytes) -> bool:
    try:
        boxes_in(content)
    except ValueError:
        return False
    return True


def _shifted(moov: bytes, after: int, by: int) -> bytes:
    """`moov` with every chunk that lies behind `after` in the file `by` bytes further on."""
    changed = bytearray(moov)
    for table in _descend(moov, 0, len(moov), _TABLES):
        width = {b"stco": 4, b"co64": 8}.get(table.kind)
        if width is None:
            continue
        first = table.start + table.head + 8
        for place in range(first, table.end - width + 1, width):
            offset = int.from_bytes(changed[place : place + width], "big")
            if offset > after:
                changed[place : place + width] = (offset + by).to_bytes(width, "big")
    return bytes(changed)


def _descend(content: bytes, start: int, end: int, path: tuple[bytes, ...]) -> Iterator[Box]:
    """The boxes at the end of `path`, with places counted in `content`."""
    for box in boxes_in(content[:end], start):
        if not path:
            yield box
        elif box.kind == path[0]:
            yield from _descend(content, box.start + box.head, box.end, path[1:])


def insert_still_xmp(content: bytes, statement: str) -> bytes:
    """An AVIF or HEIC picture with an XMP item that describes its primary item, or more in the one it has."""
    meta = next((box for box in boxes_in(content) if box.kind == b"meta"), None)
    if meta is None:
        raise ValueError("it has no items")
    children = boxes_in(content[: meta.end], meta.start + meta.head + 4)
    by_kind = {box.kind: content[box.start + box.head : box.end] for box in children}
    items, primary = _Items.read(by_kind[b"iloc"]), by_kind[b"pitm"]
    known = _xmp_item(by_kind[b"iinf"])
    if known is None:
        item, packet = max(items.ids(), default=0) + 1, carriers.xmp_packet(statement)
        by_kind[b"iinf"] = _with_item(by_kind[b"iinf"], item)
        by_kind[b"iref"] = _with_reference(by_kind.get(b"iref", bytes(4)), item, primary)
    else:
        item, packet = known, carriers.merged(items.content_of(known, content), statement)
        items = items.without(known)
    if item > 0xFFFF:
        raise ValueError("it has too many items")
    by_kind[b"iloc"] = items.written(item, 0, 0, meta.end, 0)
    grown = sum(8 + len(body) for body in by_kind.values()) + 12 - (meta.end - meta.start)
    at = len(content) + grown + 8
    by_kind[b"iloc"] = items.written(item, at, len(packet), meta.end, grown)
    inside = b"".join(make_box(kind, body) for kind, body in by_kind.items())
    made = make_box(b"meta", content[meta.start + meta.head : meta.start + meta.head + 4] + inside)
    return content[: meta.start] + made + content[meta.end :] + make_box(b"mdat", packet)


def _xmp_item(iinf: bytes) -> int | None:
    """The item that is an XMP packet (ISO/IEC 14496-12, 8.11.6)."""
    for box in boxes_in(iinf, 6 if iinf[0] == 0 else 8):
        entry = iinf[box.start + box.head : box.end]
        wide = 4 if entry[0] == 3 else 2
        if entry[6 + wide :].startswith(b"mime") and b"\0application/rdf+xml\0" in entry:
            return int.from_bytes(entry[4 : 4 + wide], "big")
    return None


def _with_item(iinf: bytes, new: int) -> bytes:
    width = 2 if iinf[0] == 0 else 4
    count = int.from_bytes(iinf[4 : 4 + width], "big") + 1
    entry = make_box(
        b"infe", b"\2\0\0\0" + new.to_bytes(2, "big") + bytes(2) + b"mime\0application/rdf+xml\0"
    )
    return iinf[:4] + count.to_bytes(width, "big") + iinf[4 + width :] + entry


def _with_reference(iref: bytes, new: int, pitm: bytes) -> bytes:
    width = 2 if iref[0] == 0 else 4
    primary = int.from_bytes(pitm[4:], "big")
    body = new.to_bytes(width, "big") + (1).to_bytes(2, "big") + primary.to_bytes(width, "big")
    return iref + make_box(b"cdsc", body)


@dataclass(frozen=True, slots=True)
class _Items:
    """An `iloc` box: where the bytes of each item lie."""

    head: bytes
    sizes: tuple[int, int, int, int]  # of offset, length, base offset, index
    entries: tuple[tuple[int, bytes, int, tuple[tuple[bytes, int, bytes], ...]], ...]
    """Item, construction method and reference, base offset, extents of index, offset, length."""

    @staticmethod
    def read(body: bytes) -> _Items:
        version = body[0]
        if version > 2:
            raise ValueError("its table of items is of an unknown version")
        sizes = (body[4] >> 4, body[4] & 15, body[5] >> 4, body[5] & 15 if version else 0)
        wide = 4 if version == 2 else 2
        place = 6 + wide
        entries = []
        for _ in range(int.from_bytes(body[6:place], "big")):
            item, place = int.from_bytes(body[place : place + wide], "big"), place + wide
            middle = 4 if version else 2
            method, place = body[place : place + middle], place + middle
            base, place = int.from_bytes(body[place : place + sizes[2]], "big"), place + sizes[2]
            count, place = int.from_bytes(body[place : place + 2], "big"), place + 2
            extents = []
            for _ in range(count):
                index, place = body[place : place + sizes[3]], place + sizes[3]
                offset, place = int.from_bytes(body[place : place + sizes[0]], "big"), place + sizes[0]
                length, place = body[place : place + sizes[1]], place + sizes[1]
                extents.append((index, offset, length))
            entries.append((item, method, base, tuple(extents)))
        if place > len(body):
            raise ValueError("its table of items breaks off")
        return _Items(body[:6], sizes, tuple(entries))

    def ids(self) -> list[int]:
        return [entry[0] for entry in self.entries]

    def without(self, item: int) -> _Items:
        return replace(self, entries=tuple(entry for entry in self.entries if entry[0] != item))

    def content_of(self, item: int, content: bytes) -> bytes:
        """The bytes of an item of the file `content`."""
        found = next((entry for entry in self.entries if entry[0] == item), None)
        if found is None:
            raise ValueError("its table of items does not say where its XMP packet lies")
        _, method, base, extents = found
        if any(method):
            raise ValueError("its XMP packet lies where packets are not looked for")
        ends = [(base + start, base + start + int.from_bytes(size, "big")) for _, start, size in extents]
        return b"".join(content[start:end] for start, end in ends)

    def written(self, new: int, at: int, length: int, after: int, by: int) -> bytes:
        """The box with one more item, `length` bytes `at`, and what lies behind `after` `by` bytes further
        on."""
        version, (offset_size, length_size, base_size, index_size) = self.head[0], self.sizes
        if not offset_size or not length_size:
            raise ValueError("its table of items has no room for offsets")
        wide = 4 if version == 2 else 2
        added = (
            new,
            bytes(4 if version else 2),
            0,
            ((bytes(index_size), at, length.to_bytes(length_size, "big")),),
        )
        out = self.head + (len(self.entries) + 1).to_bytes(wide, "big")
        for item, method, base, extents in (*self.entries, added):
            in_file = item != new and not int.from_bytes(method[:2] if version else b"", "big") & 15
            moves = in_file and any(base + offset >= after for _, offset, _ in extents)
            base_moves = moves and base >= after
            out += item.to_bytes(wide, "big") + method
            out += (base + by if base_moves else base).to_bytes(base_size, "big")
            out += len(extents).to_bytes(2, "big")
            for index, offset, size in extents:
                further = by if moves and not base_moves else 0
                out += index + (offset + further).to_bytes(offset_size, "big") + size
        return out
