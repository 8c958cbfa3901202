"""Recall of the shipped lists of characters, brands and artists: every name and alias, by the whole policy.

The sentences are not those of the tests inside the policies. Names that are everyday words stand beside one
that says which is meant, as their rules ask.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from bench.guard.data import Share
from bench.guard.names import Row
from guard import Guard, GuardRequest, Policy, Stage, Text, load_policy
from guard.sources import shipped_folder

LEAST = 0.95
_NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
_SENTENCES = (
    "a close-up of {} at sunset, 4k",
    "two children play beside {} in the snow",
    "{} on a wooden table",
)
# By list: the policy that it belongs to, and sentences with its names.
LISTS: dict[str, tuple[str, Sequence[str]]] = {
    "characters": ("brands", _SENTENCES),
    "character-phrases": ("brands", _SENTENCES),
    "ambiguous-characters": (
        "brands", ("{} cosplay at a fair", "fan art of {}, sharp focus", "{}, superhero, running"),
    ),
    "brands": ("brands", _SENTENCES),
    "ambiguous-brands": (
        "brands", ("a {} billboard at night", "the {} logo on a wall", "a {} advertisement from the 1980s"),
    ),
    "artists": (
        "artists",
        ("a harbour in the style of {}", "a cat in a hat, painted by {}", "{}-inspired portrait of a sailor"),
    ),
}  # fmt: skip


def shipped_lists(progress: Callable[[str], None]) -> Iterator[Row]:
    """Yields, for each list, how often a sentence with one of its names is blocked."""
    guards: dict[str, Guard] = {}
    for name, (file, sentences) in LISTS.items():
        progress(name)
        guard = guards.setdefault(file, _guard(load_policy(shipped_folder() / f"{file}.yaml")))
        texts = [
            sentence.format(written.removesuffix("*"))
            for entry in guard.policy.lists[name].entries
            for written in entry.names
            for sentence in sentences
        ]
        missed = [text for text in texts if guard.evaluate(_request(text)).allowed]
        share = Share(len(texts) - len(missed), len(texts))
        yield Row("shipped list", "plain", name, share, LEAST, tuple(missed[:8]))


def _guard(policy: Policy) -> Guard:
    return Guard(policy, faces=None, consents=None, clock=lambda: _NOW)


def _request(text: str) -> GuardRequest:
    return GuardRequest(Stage.PROMPT, (Text("prompt", text),))
