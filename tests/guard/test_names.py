"""The gazetteer: listed names in every disguise, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.attacks import disguise
from guard.fuzzy import FuzzyIndex, allowed_edits
from guard.location import Location
from guard.model import Certainty, Entry, EntryList
from guard.names import Gazetteer, Match
from tests.guard.conftest import shared_rows

AT = Location("lists", 1, 1)


def gazetteer(people: Sequence[str] = (), words: Sequence[str] = ()) -> Gazetteer:
    lists = [
        EntryList("people", "people", tuple(Entry(name, (name,)) for name in people), AT),
        EntryList("words", "words", tuple(Entry(word, (word,)) for word in words), AT),
    ]
    return Gazetteer(lists)


PEOPLE = [
    "Amy Klobuchar", "Jack Reed", "Todd Young", "Al Green", "Susan M. Collins", "Barack Obama", "习近平",
    "Alexandria Ocasio-Cortez", "Shaquille O'Neal", "Zendaya Coleman", "Beyoncé", "Владимир Путин",
    "J. D. Vance",
]  # fmt: skip
NAMES = gazetteer(PEOPLE, ["nude", "press photo", "behead*", "gun", "k9 unit"])


def seen(text: str) -> list[tuple[str, str]]:
    return [(match.entry, text[match.start : match.end]) for match in NAMES.scan(text)]


@pytest.mark.parametrize(
    ("text", "entry", "piece"),
    [
        ("photo of Amy Klobuchar!", "Amy Klobuchar", "Amy Klobuchar"),
        ("Klobuchar, Amy at noon", "Amy Klobuchar", "Klobuchar, Amy"),
        ("A m y K l o b u c h a r", "Amy Klobuchar", "A m y K l o b u c h a r"),
        ("the amyklobuchar look", "Amy Klobuchar", "amyklobuchar"),
        ("Amy K-l-o-b-u-c-h-a-r", "Amy Klobuchar", "Amy K-l-o-b-u-c-h-a-r"),
        ("Aamyy Kloobuuchar", "Amy Klobuchar", "Aamyy Kloobuuchar"),
        ("(Amy:1.3)(Klobuchar:1.1)", "Amy Klobuchar", "Amy:1.3)(Klobuchar"),
        ("ＡＭＹ Кlоbuсhаr", "Amy Klobuchar", "ＡＭＹ Кlоbuсhаr"),
        ("Amy Klobuchra", "Amy Klobuchar", "Amy Klobuchra"),
        ("Эми Клобучар", "Amy Klobuchar", "Эми Клобучар"),
        ("Jaack Reeeed", "Jack Reed", "Jaack Reeeed"),
        ("Susan Collins", "Susan M. Collins", "Susan Collins"),
        ("Ocasio Cortez, Alexandria", "Alexandria Ocasio-Cortez", "Ocasio Cortez, Alexandria"),
        ("shaquille oneal", "Shaquille O'Neal", "shaquille oneal"),
        ("BEYONCE on stage", "Beyoncé", "BEYONCE"),
        ("画中习近平在笑", "习近平", "习近平"),
        ("習 近平", "习近平", ""),
        ("portrait of vladimir putin", "Владимир Путин", ""),
        ("ВЛАДИМИР ПУТИН", "Владимир Путин", "ВЛАДИМИР ПУТИН"),
        ("JD Vance", "J. D. Vance", "JD Vance"),
        ("[Amy|Klobuchar]", "Amy Klobuchar", "Amy|Klobuchar"),
        ("@klobucharamy", "Amy Klobuchar", "klobucharamy"),
        ("Amy K|0bu<har K|obuch@r Amy", "Amy Klobuchar", "K|obuch@r Amy"),
        ("n u d e", "nude", "n u d e"),
        ("beheading", "behead*", "behead"),
        ("a K9 unit", "k9 unit", "K9 unit"),
    ],
)
def test_disguised_entries_are_found_where_they_stand(text: str, entry: str, piece: str) -> None:
    found = dict(seen(text))
    assert found.get(entry, "") == piece


@pytest.mark.parametrize(
    "text",
    ["to a young man", "a dark green hill", "AI green robots", "jack red", "a jack reads", "algae green",
     "gunwale", "denuded hills", "the guns", "al greenhouse", "press a photo", "unrelated", "", "習近"],
)  # fmt: skip
def test_harmless_text_is_left_alone(text: str) -> None:
    assert seen(text) == []


def test_matches_say_which_reading_was_needed() -> None:
    views = {
        "Amy Klobuchar": ("plain", Certainty.SURE),
        "Аmу Klobuchar": ("lookalike letters", Certainty.SURE),
        "Amy Kl0buchar": ("digits for letters", Certainty.LIKELY),
        "Klobuchar Amy": ("order of names", Certainty.SURE),
        "AmyKlobuchar": ("joined", Certainty.LIKELY),
        "A my Klobu char": ("parted", Certainty.LIKELY),
        "Amyy Klobuchar": ("repeated letters", Certainty.LIKELY),
        "Amy Klobucha": ("1 typing error", Certainty.LIKELY),
        "Эми Клобучар": ("transliteration", Certainty.LIKELY),
    }
    for text, expected in views.items():
        (match,) = NAMES.scan(text)
        assert (match.view, match.certainty) == expected


def test_invisible_text_is_read() -> None:
    hidden = "".join(chr(0xE0000 + ord(c)) for c in "Amy Klobuchar")
    (match,) = NAMES.scan(f"a cat{hidden} sleeps")
    assert (match.entry, match.view, match.start, match.end) == (
        "Amy Klobuchar",
        "invisible text",
        5,
        5 + len(hidden),
    )


def test_words_are_numbered_for_distances() -> None:
    matches: list[Match] = NAMES.scan("the press photo shows Barack Obama")
    assert [(m.first_word, m.last_word) for m in matches] == [(1, 2), (4, 5)]


def test_the_same_entry_in_two_places_is_two_matches() -> None:
    assert len(seen("Amy Klobuchar and Klobuchar, Amy")) == 2


def test_no_lists_find_nothing() -> None:
    assert gazetteer().scan("Amy Klobuchar") == []
    assert len(gazetteer()) == 0
    assert gazetteer(["..."]).scan("...") == []


def test_short_names_allow_no_typing_errors() -> None:
    assert [allowed_edits(n) for n in (6, 7, 9, 10)] == [0, 1, 1, 2]


def test_fuzzy_search_takes_everyday_words_as_meant() -> None:
    index = FuzzyIndex([(0, ("mark", "greene"))])
    assert [hit.distance for hit in index.search(["marc", "greene"], frozenset())] == [1]
    assert list(index.search(["dark", "greene"], frozenset({"dark"}))) == []
    assert list(index.search(["mark", "greene"], frozenset())) == []  # exact matches are not its task
    assert list(FuzzyIndex([]).search(["mark"], frozenset())) == []


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_scanned_without_error(text: str) -> None:
    for match in NAMES.scan(text):
        assert 0 <= match.start < match.end <= len(text)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(PEOPLE[:6]),
    st.text("abcdefg hijk,.", max_size=20),
    st.text(" ,.;", min_size=1, max_size=2),
)
def test_a_listed_name_is_found_in_any_surroundings(name: str, around: str, gap: str) -> None:
    text = f"{around}{gap}{name}{gap}{around}"
    assert any(text[m.start : m.end] == name for m in NAMES.scan(text) if m.entry == name)


# The figures of the guard, on the half of the names that nothing was tuned on.
FLOORS = {
    **dict.fromkeys(["plain", "case"], 1.0),
    **dict.fromkeys(["homoglyphs", "zero-width", "soft-hyphen", "full-width", "tag-characters"], 0.995),
    **dict.fromkeys(["math-bold", "strike-through", "underscore"], 0.995),
    **dict.fromkeys(["leet", "spaced-out", "dotted", "repeated"], 0.98),
    **dict.fromkeys(["joined", "last-name-first", "prompt-weights"], 0.97),
    "one-typo": 0.95,
    "leet-symbols": 0.9,
    "transliteration": 0.85,
}


@pytest.fixture(scope="module")
def officials() -> tuple[Gazetteer, list[str]]:
    rows = shared_rows("names_us_officials_gazetteer")
    entries = tuple(Entry(str(row["prompt"]), tuple(row["names"])) for row in rows)  # type: ignore[arg-type]
    kept = [entry.id for entry in entries if hashlib.sha256(entry.id.encode()).digest()[0] % 2]
    return Gazetteer([EntryList("officials", "people", entries, AT)]), kept


def recall(gazetteer: Gazetteer, names: Sequence[str], attack: str) -> float:
    texts = [(name, f"press photo of {disguise(attack, name)} shaking hands") for name in names]
    return sum(any(m.entry == name for m in gazetteer.scan(text)) for name, text in texts) / len(texts)


@pytest.mark.parametrize("attack", FLOORS)
def test_recall_on_held_out_names(attack: str, officials: tuple[Gazetteer, list[str]]) -> None:
    assert recall(*officials, attack) >= FLOORS[attack]


def test_recall_of_two_typing_errors_in_long_names(officials: tuple[Gazetteer, list[str]]) -> None:
    found, names = officials
    long = [name for name in names if sum(map(str.isalpha, name)) >= 12]
    assert recall(found, long, "two-typos") >= 0.7


@pytest.mark.parametrize("name", ["benign_coco_captions_5k", "benign_partiprompts", "benign_vbench_en_zh"])
def test_benign_prompts_name_nobody(name: str, officials: tuple[Gazetteer, list[str]]) -> None:
    texts = [str(row["prompt"]) for row in shared_rows(name)]
    kept = [text for text in texts if hashlib.sha256(text.encode()).digest()[0] % 2]
    hits = {text: found for text in kept if (found := officials[0].scan(text))}
    historic = {
        text
        for text, found in hits.items()
        if {m.entry for m in found} <= {"Abraham Lincoln", "George Washington"}
    }
    assert len(hits.keys() - historic) <= 0.0005 * len(kept)
