"""The grammar of lists."""

from __future__ import annotations

from dataclasses import dataclass

from guard.language.words import item
from guard.location import Location
from guard.schema import Key, ListOf, Record, Text, Word

LIST_KINDS = ("people", "words", "patterns", "digests", "hashes")


@dataclass(frozen=True)
class ListDraft:
    """A list as written: items in the policy, or the name of a file beside it."""

    kind: str
    at: Location
    items: tuple[str, ...] = ()
    file: str | None = None
    source: str = ""
    licence: str = ""


LIST = Record(
    "a list",
    ListDraft,
    {
        "kind": Key(
            Word("a kind of list", {kind: kind for kind in LIST_KINDS}),
            "people: names, in any order, misspelt; words: words and phrases; patterns: regular expressions "
            "(RE2); digests: SHA-256; hashes: PDQ hashes of pictures.",
            required=True,
        ),
        "items": Key(ListOf("entries", item), "The entries. In a words list, `behead*` matches any ending."),
        "file": Key(
            Text("a file name", r"[A-Za-z0-9][A-Za-z0-9._/-]*\.(jsonl|txt)", 200),
            "A .jsonl or .txt file beside the policy.",
        ),
        "source": Key(Text("a source"), "Where the entries come from."),
        "licence": Key(Text("a licence"), "Under which licence they may be passed on."),
    },
)
