"""Names that ordinary texts contain anyway: found at build time, before they disturb anybody.

The lists of a policy are run over texts that nobody would want refused. A few hundred everyday prompts come
with the package; an operator's own are better (`assay policy lint --corpus FILE`, one text in a line).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from guard.model import AllOf, AnyOf, Condition, EntryList, Mentions, Pattern, Policy, Words, list_of
from guard.names import Gazetteer

MAX_CORPUS_TEXTS = 200_000


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """An entry that everyday texts contain: `seen` in so many of `texts`, for example in `example`."""

    list: EntryList
    entry: str
    seen: int
    texts: int
    example: str


@cache
def everyday_texts() -> tuple[str, ...]:
    """Returns the texts that come with the package."""
    text = files("guard").joinpath("everyday_prompts.txt").read_text("utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


def ambiguous_entries(policy: Policy, texts: Iterable[str] | None = None) -> Iterator[Ambiguity]:
    """Yields entries of lists that fire on their own and are found in `texts` (by default, everyday ones).

    Lists that count only together with another condition are left out: they are there for such names.
    """
    corpus = everyday_texts() if texts is None else tuple(texts)[:MAX_CORPUS_TEXTS]
    alone = [policy.lists[name] for name in sorted(_lists_alone(policy))]
    lists = {entries.name: entries for entries in alone if entries.kind == "people"}
    gazetteer = Gazetteer(lists.values())
    found: dict[tuple[str, str], list[str]] = {}
    for text in corpus:
        for key in {(match.list, match.entry) for match in gazetteer.scan(text)}:
            found.setdefault(key, []).append(text)
    for (name, entry), examples in sorted(found.items()):
        yield Ambiguity(lists[name], entry, len(examples), len(corpus), examples[0])


def _lists_alone(policy: Policy) -> set[str]:
    """Returns the lists of which one entry is enough for a rule to fire."""
    return {name for rule in policy.rules for name in _enough(rule.when)}


def _enough(condition: Condition) -> set[str]:
    match condition:
        case AnyOf(any=parts):
            return {name for part in parts for name in _enough(part)}
        case AllOf(all=parts):
            return _enough(parts[0]) if len(parts) == 1 else set()
        case Words() | Mentions() | Pattern():
            return {list_of(condition)}
    return set()
