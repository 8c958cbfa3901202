"""Made-up names in any number, for measuring a gazetteer at scale.

First and last names are drawn from chains of letters (each letter given the two before it) learnt on the
shipped lists, so that lengths, endings and shared words are like those of real names. Nobody in particular is
meant.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from random import Random

from guard.location import Location
from guard.model import Entry, EntryList

_START, _END = "^^", "$"
_FIRST_NAMES_PER_NAME = 12  # 150,000 people share about 12,500 first names
_LETTERS = range(3, 13)
_MIDDLE_SHARE, _ALIAS_SHARE = 0.1, 0.1


def shipped_names() -> list[str]:
    """Returns the names of the shipped lists of people that are written in ASCII."""
    folder = resources.files("policies").joinpath("lists")
    rows: list[str] = []
    for file in sorted(folder.iterdir(), key=lambda path: path.name):
        if file.name.endswith(".jsonl"):
            lines = file.read_text("utf-8").splitlines()
            rows += [str(json.loads(line)["name"]) for line in lines if line.startswith("{")]
    return [name for name in rows if name.isascii() and name.replace(" ", "").isalpha()]


def made_up_people(count: int, *, seed: int = 0) -> EntryList:
    """Returns a list of `count` different people; the same for the same seed."""
    rng = Random(seed)
    known = [name.split() for name in shipped_names()]
    firsts = list(_words(_chain([words[0] for words in known]), count // _FIRST_NAMES_PER_NAME + 50, rng))
    lasts = list(_words(_chain([words[-1] for words in known]), count // 3 + 50, rng))
    seen: dict[str, None] = {}
    while len(seen) < count:
        seen.setdefault(f"{rng.choice(firsts)} {rng.choice(lasts)}")
    entries = tuple(_entry(name, number, firsts, rng) for number, name in enumerate(seen))
    return EntryList("made-up-people", "people", entries, Location("made-up-people", 1, 1))


def _entry(name: str, number: int, firsts: Sequence[str], rng: Random) -> Entry:
    first, last = name.split()
    names = [name]
    if rng.random() < _MIDDLE_SHARE:
        names = [f"{first} {rng.choice(firsts)[0]}. {last}"]
    if rng.random() < _ALIAS_SHARE:
        names.append(f"{rng.choice(firsts)} {last}")
    return Entry(f"made-up:{number}", tuple(names))


def _chain(words: Sequence[str]) -> Mapping[str, list[str]]:
    following: dict[str, list[str]] = defaultdict(list)
    for word in words:
        letters = _START + word.lower() + _END
        for i in range(2, len(letters)):
            following[letters[i - 2 : i]].append(letters[i])
    return following


def _words(chain: Mapping[str, list[str]], count: int, rng: Random) -> Iterator[str]:
    seen: set[str] = set()
    while len(seen) < count:
        word = _START
        while not word.endswith(_END):
            word += rng.choice(chain[word[-2:]])
        name = word.removeprefix(_START).removesuffix(_END)
        if len(name) in _LETTERS and name not in seen:
            seen.add(name)
            yield name.title()
