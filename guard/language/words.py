"""Words that several parts of the grammar use: names, certainties, distances, shares."""

from __future__ import annotations

from guard.model import MAX_STRICTNESS, Certainty
from guard.reasons import REASONS, is_reason
from guard.schema import Key, Parsed, Reference, Registered, Text, Whole, Word

IDENTIFIER = r"[a-z0-9]+(-[a-z0-9]+)*"
MAX_ITEM_CHARACTERS = 200  # one list entry; longer ones are sentences, which lists do not match well


def identifier(what: str) -> Text:
    return Text(f"{what} (a-z, 0-9 and -)", IDENTIFIER, 80)


people_list = Reference("people", identifier("the name of a people list"))
digest_list = Reference("digests", identifier("the name of a list of digests"))
word_list = Reference("words", identifier("the name of a word list"))
hash_list = Reference("hashes", identifier("the name of a list of picture hashes"))
pattern_list = Reference("patterns", identifier("the name of a list of patterns"))
reason = Registered(
    Text("a reason code", r"[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)*", 80),
    is_reason,
    list(REASONS),
    "your own start with CUSTOM.",
)
item = Text("an entry", max_length=MAX_ITEM_CHARACTERS)
certainty = Word("a certainty", {word.value: word for word in Certainty})
distance = Parsed("a distance such as `6 words`", r"[1-9]\d{0,2} words?", lambda text: int(text.split()[0]))
uploads = Parsed(
    "a rate such as `1 in 100000 uploads`",
    r"1 in [1-9]\d{1,8} uploads",
    lambda text: 1 / int(text.split()[2]),
)
frames = Whole("a number of frames", 1, 8)
strictness = Whole("a strictness", 1, MAX_STRICTNESS)
percent = Parsed("a share such as `95%`", r"(100|\d{1,2})%", lambda text: int(text[:-1]) / 100)

certainty_key = Key(certainty, "sure: as written; likely (default): through disguises; possible: guesses.")
within_key = Key(distance, "Only within so many words of another match of this rule, for example `6 words`.")
