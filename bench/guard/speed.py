"""The prompt stage at scale: the rules of every shipped policy and 150,000 more names, on one core.

Processor time of one thread, so that neighbours on the machine count as little as possible. Prompts are the
held-out benign ones and real users' prompts.
"""

import gc
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from random import Random

import numpy as np

from bench.guard.data import benign_texts, held_out, rows_of
from bench.guard.gazetteer import made_up_people
from guard import Guard, GuardRequest, Policy, Stage, Text, load_policy
from guard.gallery import Gallery
from guard.location import Location
from guard.model import Action, EntryList, Mentions, Mode, Rule, Severity

NAMES = 150_000
PROMPTS = 3000
PEOPLE, TEMPLATE = 10_000, 512  # of a face gallery: people, numbers of a template
_WARM_UP = 200
_AT = Location("bench", 1, 1)
_NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


class BenchError(Exception):
    """The bench cannot measure what it says."""


@dataclass(frozen=True)
class Figure:
    """One measured figure with its bar."""

    name: str
    value: float
    unit: str
    limit: float

    @property
    def kept(self) -> bool:
        """Whether the bar is kept."""
        return self.value <= self.limit


def measure(folder: Path, progress: Callable[[str], None], *, names: int = NAMES) -> list[Figure]:
    """Returns build time, memory and the distribution of the time of one prompt."""
    progress("made-up names")
    people = made_up_people(names)
    policy = _with_list(everything(), people)
    gc.collect()
    before = _resident_mb()
    progress("compile")
    started = time.thread_time()
    guard = Guard(policy, faces=None, consents=None, clock=lambda: _NOW)
    build = time.thread_time() - started
    gc.collect()
    memory = _resident_mb() - before
    texts = prompts_of(folder)
    progress(f"{len(texts)} prompts")
    times = sorted(_timed(guard, texts))
    return [
        Figure(f"compile {len(policy.rules)} rules and {names:,} names", build, "s", 5.0),
        Figure("memory of the compiled policy", memory, "MB", 300.0),
        Figure("prompt stage, p50", _quantile(times, 0.5) * 1e3, "ms", 0.5),
        Figure("prompt stage, p99", _quantile(times, 0.99) * 1e3, "ms", 5.0),
        Figure(f"a face among {PEOPLE:,}", _gallery_search() * 1e3, "ms", 5.0),
    ]


def _gallery_search() -> float:
    """Returns the median time of one search, in seconds."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((PEOPLE + 1, TEMPLATE)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    people = [f"p{number}" for number in range(PEOPLE)]
    gallery = Gallery("bench", people, rows[:-1], np.eye(TEMPLATE, dtype=np.float32))
    times = []
    for _ in range(51):
        started = time.process_time()
        gallery.search(rows[-1:], 0.5)
        times.append(time.process_time() - started)
    return sorted(times)[25]


def everything() -> Policy:
    """Returns the shipped policy that extends all but assay.ideas; raises where it lacks a rule of one."""
    folder = Path(str(resources.files("policies")))
    paths = sorted(path for path in folder.glob("*.yaml") if path.stem != "ideas")
    policies = [load_policy(path) for path in paths]
    largest = max(policies, key=lambda policy: len(policy.rules))
    missing = {r.id for policy in policies for r in policy.rules} - {r.id for r in largest.rules}
    if missing:
        raise BenchError(f"{largest.name} leaves out {sorted(missing)}; measure the other policies too")
    return largest


def prompts_of(folder: Path) -> list[str]:
    """Returns prompts of all kinds in one shuffled list."""
    texts = [text for _, text in benign_texts(folder) if held_out(text)]
    texts += [str(row["prompt"]) for row in rows_of(folder, "unsafe_i2p") if held_out(str(row["prompt"]))]
    Random(0).shuffle(texts)
    return texts[:PROMPTS]


def _with_list(policy: Policy, people: EntryList) -> Policy:
    rule = Rule(
        id="made-up-people", title="A made-up person", stage=Stage.PROMPT, severity=Severity.HIGH,
        when=Mentions("made-up-people", _AT), then=Action.BLOCK, reason="PERSON.PUBLIC_FIGURE", at=_AT,
        mode=Mode.ENFORCE,
    )  # fmt: skip
    return replace(policy, rules=(*policy.rules, rule), lists={**policy.lists, "made-up-people": people})


def _timed(guard: Guard, texts: Sequence[str]) -> Iterator[float]:
    for number, text in enumerate([*texts[:_WARM_UP], *texts]):
        request = GuardRequest(Stage.PROMPT, (Text("prompt", text),))
        started = time.thread_time()
        guard.evaluate(request)
        if number >= _WARM_UP:
            yield time.thread_time() - started


def _quantile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 2**20
