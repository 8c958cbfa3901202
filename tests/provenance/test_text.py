from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.codes import explain_code
from provenance.sniff import sniff_bytes
from provenance.text import MAX_TEXT, clean


@given(st.text(max_size=2000))
def test_clean_text_is_short_visible_and_stays_so(text: str) -> None:
    kept = clean(text)
    assert len(kept) <= MAX_TEXT
    assert not any(unicodedata.category(c).startswith("C") for c in kept)
    assert clean(kept) == kept


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("safe\u202egnp.exe", "safegnp.exe"),
        ("two\nlines\r\n", "twolines"),
        ("\x00", ""),
        (None, ""),
        (["a"], ""),
        ({"a": 1}, ""),
        (7, "7"),
    ],
)
def test_hostile_strings(hostile: object, shown: str) -> None:
    assert clean(hostile) == shown


def test_long_text_says_that_it_was_cut() -> None:
    assert clean("x" * 10_000).endswith("…")


def test_codes_are_explained_by_their_longest_known_part() -> None:
    assert "bytes were changed" in explain_code("assertion.dataHash.mismatch").meaning
    assert "not usable" in explain_code("assertion.dataHash.malformed").meaning
    assert "breaks a rule" in explain_code("assertion.somethingNew").meaning
    assert "no words" in explain_code("brand.new").meaning
    assert explain_code("a\x1b.b" * 500).code.isprintable()


@given(st.binary(max_size=64))
def test_sniffing_never_fails(head: bytes) -> None:
    kind = sniff_bytes(head)
    assert kind is None or "/" in kind.mime


@pytest.mark.parametrize("head", [b"", b"PK\x03\x04", b"%PDF-1.7", b"<svg xmlns=", b"MZ", b"#!/bin/sh"])
def test_what_is_not_on_the_list_is_not_let_in(head: bytes) -> None:
    assert sniff_bytes(head.ljust(64, b"\0")) is None
