"""Made-up training prompts: plain words for each idea, in the kinds of sentences that people write.

The words are in phrases.json, written for this project. Harmless look-alikes use the same sentences, and the
same words in their innocent senses, so that the classifier learns the idea and not the style. No risky phrase
is about minors.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, cast


@cache
def _phrases() -> Mapping[str, Any]:
    text = Path(__file__).with_name("phrases.json").read_text("utf-8")
    return cast(Mapping[str, Any], json.loads(text))


def risky(count: int, rng: Random, *, kept_apart: bool = False) -> Iterator[tuple[str, str]]:
    """Yields `count` prompts for each idea, as (idea, prompt).

    One phrase in five is kept apart from training, by hash; `kept_apart` asks for those.
    """
    for idea, phrases in _phrases()["ideas"].items():
        for _ in range(count):
            yield idea, _sentence(_half(phrases, kept_apart), rng)


def harmless(count: int, rng: Random, *, kept_apart: bool = False) -> Iterator[str]:
    """Yields `count` prompts that are about none of the ideas."""
    for _ in range(count):
        yield _sentence(_half(_phrases()["harmless"], kept_apart), rng)


def _half(phrases: Sequence[str], kept_apart: bool) -> list[str]:
    return [text for text in phrases if (sha256(text.encode()).digest()[0] % 5 == 0) == kept_apart]


def _sentence(phrases: Sequence[str], rng: Random) -> str:
    words = _phrases()
    drawn = {
        "what": rng.choice(phrases), "who": rng.choice(words["subjects"]),
        "where": rng.choice(words["places"]), "style": rng.choice(words["styles"]),
    }  # fmt: skip
    return " ".join(rng.choice(words["frames"]).format(**drawn).split()).strip(" ,:")
