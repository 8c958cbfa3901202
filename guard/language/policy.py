"""The grammar of a whole file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from guard import source as tree
from guard.language.conditions import CONDITION_GRAMMAR
from guard.language.lists import LIST, ListDraft
from guard.language.overrides import OVERRIDE, Override
from guard.language.rules import RULE
from guard.language.tests import POLICY_TEST
from guard.language.words import IDENTIFIER, strictness
from guard.location import Location
from guard.model import CaseTest, Rule, Stage
from guard.schema import FAILED, Failed, JsonSchema, Key, ListOf, MapOf, Record, Report, Text, Word


@dataclass(frozen=True)
class Base:
    """A policy that this one extends: the name of a shipped one, or a file beside this one."""

    name: str
    at: Location


@dataclass(frozen=True)
class PolicyDraft:
    """A policy as written, before lists are read and references are resolved."""

    policy: str
    version: str
    at: Location
    rules: tuple[Rule, ...] = ()
    description: str = ""
    lists: Mapping[str, ListDraft] = field(default_factory=dict)
    unchecked_stages: tuple[Stage, ...] = ()
    tests: tuple[CaseTest, ...] = ()
    strictness: int | None = None
    extends: tuple[Base, ...] = ()
    overrides: tuple[Override, ...] = ()


class _Base:
    """Reads the name of a policy together with its place."""

    _name = Text(
        "a shipped policy such as assay.default, or a file such as base.yaml",
        rf"{IDENTIFIER}(\.{IDENTIFIER})*|[A-Za-z0-9][A-Za-z0-9._/-]*\.yaml",
        200,
    )

    def read(self, node: tree.Node, report: Report) -> Base | Failed:
        name = self._name.read(node, report)
        return FAILED if name is FAILED else Base(name, node.at)

    def json_schema(self) -> JsonSchema:
        return self._name.json_schema()


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
        "extends": Key(
            ListOf("policies", _Base()),
            "Policies whose rules and lists this one takes over: shipped ones by name, others by file name.",
        ),
        "overrides": Key(
            ListOf("overrides", OVERRIDE), "What is different in the rules and lists that were taken over."
        ),
        "strictness": Key(strictness, "1 (the default) to 4; rules with a higher strictness are left out."),
        "description": Key(Text("a description"), "What the policy is for."),
        "unchecked_stages": Key(
            ListOf("stages", Word("a stage", {stage.value: stage for stage in Stage})),
            "Stages left unchecked on purpose. Any other stage without rules is refused.",
        ),
        "lists": Key(MapOf("lists by name", IDENTIFIER, LIST), "Lists of people and of words, by name."),
        "rules": Key(ListOf("rules", RULE), "The rules."),
        "tests": Key(ListOf("tests", POLICY_TEST), "What the whole policy must block and allow."),
    },
    one_of=("rules", "extends"),
)


def policy_json_schema() -> JsonSchema:
    """Returns the JSON Schema (draft-07, the newest that yaml-language-server reads) of a policy file."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Assay guard policy",
        **POLICY.json_schema(),
        "definitions": {"condition": CONDITION_GRAMMAR.json_schema()},
    }
