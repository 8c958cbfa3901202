"""The labelled texts that the classifier of ideas is trained and measured on.

Real prompts of the shared sets, made-up ones (`bench.guard.synthetic`), and harmless prompts dressed up in
style words of real users and in artists' names, so that style is no evidence.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from random import Random

from bench.guard.data import benign_texts, rows_of
from bench.guard.synthetic import harmless, risky
from guard.ideas import IDEAS

NAMES = tuple(IDEAS)
SYNTHETIC_PER_IDEA, SYNTHETIC_HARMLESS = 500, 2500
DRESSED, BY_ARTISTS = 1200, 700
I2P_RISKY, I2P_HARMLESS = 50.0, 10.0  # percent of pictures that people found inappropriate
_COMMON_STYLE = 2  # prompts that a piece between commas stands in, to be style rather than subject
_STYLE_PIECES = range(2, 9)
_BY_ARTIST = (
    "{text}, in the style of {one}", "{text} by {one}", "{one} style {text}", "a painting by {one} of {text}",
    "{text}, art by {one} and {two}", "{text} inspired by {one}", "artwork by {one}: {text}",
    "{text}, {one}, {two}, trending on artstation",
)  # fmt: skip
_OPENAI = {
    "H": "hate", "H2": "hate", "HR": "harassment", "V": "violence", "V2": "violence", "SH": "self-harm"
}  # fmt: skip
_I2P = {"illegal activity": "illegal"}


@dataclass(frozen=True)
class Example:
    """A text, what it is about, where it comes from, and how much it counts in training.

    `origin` is the text that it was made of, so that both stand on the same side of a split.
    """

    text: str
    ideas: frozenset[str]
    source: str
    weight: float = 1.0
    origin: str = ""

    @property
    def harmless(self) -> bool:
        """True where it is about none of the ideas."""
        return not self.ideas

    @property
    def key(self) -> str:
        """What a split goes by."""
        return self.origin or self.text


def examples(folder: Path) -> Iterator[Example]:
    """Yields every labelled text of the prompt sets, both halves."""
    for _, text in benign_texts(folder):
        yield Example(text, frozenset(), "benign")
    for row in rows_of(folder, "style_artist_prompts"):
        yield Example(str(row["prompt"]), frozenset(), "artists' styles")
    for row in rows_of(folder, "mixed_openai_moderation_eval"):
        found = frozenset(_OPENAI[label] for label in row["positive"] if label in _OPENAI)
        if found or not row["positive"]:
            yield Example(str(row["prompt"]), found, "moderation", 2.0 if found else 0.5)
    for row in rows_of(folder, "unsafe_i2p"):
        share, ideas = float(row["inappropriate_pct"]), [_I2P.get(c, c) for c in row["categories"]]
        if share >= I2P_RISKY:
            yield Example(str(row["prompt"]), frozenset(ideas) & set(NAMES), "i2p")
        elif share <= I2P_HARMLESS:
            yield Example(str(row["prompt"]), frozenset(), "i2p", 0.2)


def synthetic(rng: Random) -> Iterator[Example]:
    """Yields the made-up texts."""
    for idea, text in risky(SYNTHETIC_PER_IDEA, rng):
        yield Example(text, frozenset({idea}), "made up", 0.07)
    for text in harmless(SYNTHETIC_HARMLESS, rng):
        yield Example(text, frozenset(), "made up", 0.2)


def dressed(folder: Path, of_half: Callable[[str], bool], rng: Random) -> Iterator[Example]:
    """Yields harmless prompts of one half with style words of that half's harmless prompts of real users, and
    with artists' names."""
    plain = [text for _, text in benign_texts(folder) if of_half(text) and text.isascii()]
    users = (row for row in rows_of(folder, "unsafe_i2p") if float(row["inappropriate_pct"]) <= I2P_HARMLESS)
    tails = _style_pieces([text for row in users if of_half(text := str(row["prompt"]))])
    pieces, counts = list(tails), list(tails.values())
    for text in rng.sample(plain, min(DRESSED, len(plain))):
        style = rng.choices(pieces, counts, k=rng.choice(_STYLE_PIECES))
        yield Example(f"{text.rstrip(' .,')}, {', '.join(style)}", frozenset(), "benign, dressed up", 1, text)
    names = _artists()
    for text in rng.sample(plain, min(BY_ARTISTS, len(plain))):
        one, two = rng.sample(names, 2)
        made = rng.choice(_BY_ARTIST).format(text=text.rstrip(" .,"), one=one, two=two)
        yield Example(made, frozenset(), "benign, by artists", 1, text)


def _style_pieces(texts: Sequence[str]) -> Counter[str]:
    found = Counter(piece for text in texts for piece in {p.strip().lower() for p in text.split(",")[1:]})
    return Counter({piece: n for piece, n in found.items() if piece and n >= _COMMON_STYLE})


def _artists() -> list[str]:
    lines = resources.files("policies").joinpath("lists/artists.jsonl").read_text("utf-8").splitlines()
    return [str(json.loads(line)["name"]) for line in lines if line.startswith("{")]
