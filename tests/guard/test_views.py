"""Readings of text: disguises fall away, and every letter still knows where it stood."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.attacks import ATTACKS, disguise
from guard.sound import consonants, sounds
from guard.views import collapse, fold, hidden_text, lookalikes, read, same_letter


def words(text: str) -> list[str]:
    reading = read(text)
    return [reading.token(i) for i in range(len(reading.tokens))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Amy Klobuchar", ["amy", "klobuchar"]),
        ("ＡＭＹ 𝐊𝐥𝐨𝐛𝐮𝐜𝐡𝐚𝐫", ["amy", "klobuchar"]),
        ("A\u200bm\u00ady\u034f", ["amy"]),
        ("А\u0336му К\u0301", ["amy", "k"]),
        ("🅰🅼🆈 ⓚ", ["amy", "k"]),
        ("Kl0buch4r C1ub", ["kl0buch4r", "c1ub"]),
        ("M!k€ T€xa$", ["mike", "texas"]),
        ("so nice!", ["so", "nice"]),
        ("(Bar:1.2)(ack:1.1) [red:0.5] hat++", ["bar", "ack", "red", "hat"]),
        ("4:30 pm, 16:9", ["4", "30", "pm", "16", "9"]),
        ("习近平", ["习", "近", "平"]),
        ("Łódź, Besançon", ["lodz", "besancon"]),
        ("", []),
        (" ... ", []),
    ],
)
def test_words_of_a_text(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text(max_size=60))
def test_offsets_point_into_the_text_and_only_grow(text: str) -> None:
    reading = read(text)
    assert len(reading.letters) == len(reading.classes) == len(reading.offsets) == len(reading.doubtful)
    assert all(0 <= at < len(text) for at in reading.offsets)
    assert reading.offsets == sorted(reading.offsets)
    assert "".join(words(text)) == reading.letters
    for first, last in reading.tokens:
        start, end = reading.span(first, last - 1)
        assert 0 <= start < end <= len(text)
        assert reading.starts[first]
        assert reading.ends[last - 1]


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Z"]), max_size=40))
def test_case_does_not_matter(text: str) -> None:
    assert read(text.upper()).letters == read(text).letters


@given(st.text(max_size=40))
def test_collapsing_twice_is_collapsing_once(text: str) -> None:
    once = collapse(read(text))
    assert once is None or collapse(once) is None


def test_a_span_includes_marks_and_invisible_letters_that_hang_on_its_last_letter() -> None:
    text = "see A\u0336m\u0336y\u0336\u200b now"
    reading = read(text)
    first, last = reading.tokens[1]
    start, end = reading.span(first, last - 1)
    assert text[start:end] == "A\u0336m\u0336y\u0336\u200b"


def test_lookalikes_stand_for_letters_that_they_resemble() -> None:
    table = lookalikes()
    assert len(table) > 1000
    assert all(letters.isascii() and letters.isalnum() for letters in table.values())
    assert [fold(c) for c in "аΑᴀ𝖠ⒶԁΗВ"] == ["a", "a", "a", "a", "a", "d", "h", "b"]


def test_ascii_letters_stand_for_themselves() -> None:
    assert "".join(map(fold, string.ascii_letters)) == string.ascii_lowercase * 2


def test_a_plain_letter_is_never_taken_for_another() -> None:
    assert not same_letter("i", 0, "l")  # "AI green" is not Al Green
    assert same_letter("i", 1, "l")
    assert same_letter("1", 1, "l")
    assert not same_letter("a", 1, "b")


def test_text_in_tag_characters_is_read() -> None:
    hidden = "".join(chr(0xE0000 + ord(c)) for c in "Amy K")
    assert hidden_text(f"a cat{hidden}") == "Amy K"
    assert words(f"a cat{hidden}") == ["a", "cat"]


@pytest.mark.parametrize(
    ("latin", "back"), [("charlotte", "kkharlotte"), ("maxwell", "makswell"), ("vance", "vans")]
)
def test_sounds_survive_a_trip_through_another_alphabet(latin: str, back: str) -> None:
    assert consonants(sounds(back)) in {consonants(sounds(latin)), consonants(sounds(latin, "soft c"))}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_repeatable_and_do_something(attack: str) -> None:
    assert disguise(attack, "Robert Wittman") == disguise(attack, "Robert Wittman")
    assert (disguise(attack, "Robert Wittman") != "Robert Wittman") == (attack != "plain")
