"""The grammar of a whole file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from guard.errors import Location
from guard.language.conditions import CONDITION_GRAMMAR
from guard.language.rules import RULE
from guard.language.tests import POLICY_TEST
from guard.language.words import IDENTIFIER, item
from guard.model import CaseTest, Rule, Stage
from guard.schema import JsonSchema, Key, ListOf, MapOf, Record, Text, Word


@dataclass(frozen=True)
class ListDraft:
    """A list as written: items in the policy, or the name of a file beside it."""

    kind: str
    at: Location
    items: tuple[str, ...] = ()
    file: str | None = None
    source: str = ""
    licence: str = ""


@dataclass(frozen=True)
class PolicyDraft:
    """A policy as written, before lists are read and references are resolved."""

    policy: str
    version: str
    rules: tuple[Rule, ...]
    at: Location
    description: str = ""
    lists: Mapping[str, ListDraft] | None = None
    unchecked_stages: tuple[Stage, ...] = ()
    tests: tuple[CaseTest, ...] = ()


_list = Record(
    "a list",
    ListDraft,
    {
        "kind": Key(
            Word("a kind of list", {"people": "people", "words": "words", "digests": "digests"}),
            "people: names, in any order, misspelt; words: words and phrases; digests: SHA-256.",
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

POLICY: Record[PolicyDraft] = Record(
    "a policy",
    PolicyDraft,
    {
        "policy": Key(
            Text("a name such as `acme.likeness`", rf"{IDENTIFIER}(\.{IDENTIFIER})*", 80),
            "The name.",
            required=True,
        ),
        "version": Key(
            Text("a version such as 1.2.0", r"\d+\.\d+\.\d+", 30),
            "Raise it with every change.",
            required=True,
        ),
        "description": Key(Text("a description"), "What the policy is for."),
        "unchecked_stages": Key(
            ListOf("stages", Word("a stage", {stage.value: stage for stage in Stage})),
            "Stages left unchecked on purpose. Any other stage without rules is refused.",
        ),
        "lists": Key(MapOf("lists by name", IDENTIFIER, _list), "Lists of people and of words, by name."),
        "rules": Key(ListOf("rules", RULE), "The rules.", required=True),
        "tests": Key(ListOf("tests", POLICY_TEST), "What the whole policy must block and allow."),
    },
)


def policy_json_schema() -> JsonSchema:
    """Returns the JSON Schema (draft-07, the newest that yaml-language-server reads) of a policy file."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Assay guard policy",
        **POLICY.json_schema(),
        "definitions": {"condition": CONDITION_GRAMMAR.json_schema()},
    }
