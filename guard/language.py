"""The grammar of a policy file: which keys there are, what each may hold, and one sentence about each.

The sentences end up in the JSON Schema, where an editor shows them while a policy is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guard.attacks import ATTACKS
from guard.errors import Location
from guard.model import (
    Action,
    AdapterCase,
    AdapterFile,
    AllOf,
    AnyOf,
    AttackTest,
    Case,
    CaseTest,
    Certainty,
    Condition,
    Consent,
    Face,
    Mentions,
    Mode,
    Outcome,
    PictureCase,
    Rule,
    RuleException,
    RuleTest,
    Severity,
    Stage,
    Words,
)
from guard.reasons import REASONS, is_reason
from guard.schema import (
    Choice,
    Either,
    JsonSchema,
    Key,
    ListOf,
    MapOf,
    Parsed,
    Record,
    Reference,
    Registered,
    Shared,
    Spec,
    Text,
    Word,
    day,
)

IDENTIFIER = r"[a-z0-9]+(-[a-z0-9]+)*"
MAX_ITEM_CHARACTERS = 200  # one list entry; longer ones are sentences, which lists do not match well


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


def _identifier(what: str) -> Text:
    return Text(f"{what} (a-z, 0-9 and -)", IDENTIFIER, 80)


_people_list = Reference("people", _identifier("the name of a people list"))
_digest_list = Reference("digests", _identifier("the name of a list of digests"))
_word_list = Reference("words", _identifier("the name of a word list"))
_reason = Registered(
    Text("a reason code", r"[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)*", 80),
    is_reason,
    list(REASONS),
    "your own start with CUSTOM.",
)
_item = Text("an entry", max_length=MAX_ITEM_CHARACTERS)
_certainty = Word("a certainty", {word.value: word for word in Certainty})
_within = Parsed("a distance such as `6 words`", r"[1-9]\d{0,2} words?", lambda text: int(text.split()[0]))
_percent = Parsed("a share such as `95%`", r"(100|\d{1,2})%", lambda text: int(text[:-1]) / 100)

_certainty_key = Key(_certainty, "sure: as written; likely (default): through disguises; possible: guesses.")
_within_key = Key(_within, "Only within so many words of another match of this rule, for example `6 words`.")

_words = Record(
    "a `words` condition",
    Words,
    {
        "words": Key(_word_list, "A text contains an entry of this list.", required=True),
        "certainty": _certainty_key,
        "within": _within_key,
    },
)
_mentions = Record(
    "a `mentions` condition",
    Mentions,
    {
        "mentions": Key(_people_list, "A text names one of these people.", required=True),
        "certainty": _certainty_key,
        "within": _within_key,
    },
)
_face = Record(
    "a `face` condition",
    Face,
    {
        "face": Key(
            Word("a state of a face", {"present": "present"}), "A face is in the picture.", required=True
        ),
        "certainty": Key(_certainty, "How sure the detector must be; likely is the default."),
    },
)
_consent = Record(
    "a `consent` condition",
    Consent,
    {
        "consent": Key(
            Word("a state of consent", {"missing": "missing"}),
            "No valid consent token came with the picture.",
            required=True,
        )
    },
)
_adapter = Record(
    "an `adapter` condition",
    AdapterFile,
    {
        "adapter": Key(
            Word("a state of an adapter", {"unlisted": "unlisted"}),
            "An adapter's SHA-256 is not in the list.",
            required=True,
        ),
        "trusted": Key(_digest_list, "The list of adapters that may be used.", required=True),
    },
)
_condition: Spec[Condition] = Shared("condition", lambda: _CONDITION)
_conditions = ListOf("conditions", _condition)
_all = Record(
    "an `all` condition", AllOf, {"all": Key(_conditions, "Every one of these holds.", required=True)}
)
_any = Record(
    "an `any` condition", AnyOf, {"any": Key(_conditions, "At least one of these holds.", required=True)}
)
_CONDITION: Spec[Condition] = Choice[Condition](
    "a condition",
    {
        "all": _all,
        "any": _any,
        "words": _words,
        "mentions": _mentions,
        "face": _face,
        "consent": _consent,
        "adapter": _adapter,
    },
)

_picture = Record(
    "a picture",
    PictureCase,
    {
        "face": Key(
            Word("a state of a face", {"present": "present", "none": "none", "unknown": "unknown"}),
            "What the detector sees; unknown: it could not run.",
            required=True,
        ),
        "consent": Key(
            Word("a state of consent", {"valid": "valid", "none": "none", "expired": "expired"}),
            "The consent token that comes with the picture; none is the default.",
        ),
    },
)
_adapter_case = Record(
    "an adapter",
    AdapterCase,
    {
        "adapter": Key(
            Word("a state of an adapter", {"listed": "listed", "unlisted": "unlisted"}),
            "Whether the trusted list has it.",
            required=True,
        )
    },
)
_described: Spec[Case] = Choice[Case]("a case", {"face": _picture, "adapter": _adapter_case})
_case: Spec[Case] = Either[Case](scalar=Text("a text to test"), mapping=_described)


def _case_test(word: str, doc: str) -> Record[RuleTest]:
    def build(at: Location, **case: Any) -> CaseTest:
        return CaseTest(word, case[word], at)

    return Record(f"a test with `{word}`", build, {word: Key(_case, doc, required=True)})


_attack_test: Record[RuleTest] = Record(
    "a test with `attack`",
    AttackTest,
    {
        "attack": Key(Text("a text with {person} or {word}"), "A prompt with a placeholder.", required=True),
        "person": Key(_people_list, "The list that {person} stands for."),
        "word": Key(_word_list, "The list that {word} stands for."),
        "with": Key(
            ListOf("attacks", Word("an attack", {name: name for name in ATTACKS})),
            "The disguises to try.",
            required=True,
        ),
        "block_at_least": Key(
            _percent, "The share that the rule must still see, for example 95%.", required=True
        ),
    },
)
_verdict_tests: dict[str, Record[RuleTest]] = {
    "block": _case_test("block", "The rule must block this."),
    "review": _case_test("review", "The rule must send this to review."),
    "flag": _case_test("flag", "The rule must flag this."),
    "allow": _case_test("allow", "The rule must let this through."),
}
_test: Spec[RuleTest] = Choice[RuleTest]("a test", {**_verdict_tests, "attack": _attack_test})
_policy_test: Spec[RuleTest] = Choice[RuleTest](
    "a test of the whole policy", {word: _verdict_tests[word] for word in ("block", "review", "allow")}
)

_exception = Record(
    "an exception",
    RuleException,
    {
        "id": Key(_identifier("an id"), "A name for the exception, for the log.", required=True),
        "tenant": Key(
            Text("a tenant", r"\S+", 200), "The tenant for whom the rule does not fire.", required=True
        ),
        "until": Key(day("the last day"), "The last day on which it holds (UTC).", required=True),
        "why": Key(Text("a reason"), "Who allowed it and why.", required=True),
    },
)

_rule = Record(
    "a rule",
    Rule,
    {
        "id": Key(
            _identifier("an id"), "A short name that stays the same for ever; logs carry it.", required=True
        ),
        "title": Key(
            Text("a title", max_length=120), "What the rule is about, in a few words.", required=True
        ),
        "stage": Key(
            Word("a stage", {stage.value: stage for stage in Stage}),
            "prompt: texts; reference: pictures from the user; adapter: LoRA files; output: the result.",
            required=True,
        ),
        "severity": Key(
            Word("a severity", {severity.value: severity for severity in Severity}),
            "critical 5 points, high 4, medium 3, low 2. At 5 points a request is blocked, at 3 reviewed.",
            required=True,
        ),
        "mode": Key(
            Word("a mode", {mode.value: mode for mode in Mode}),
            "off; shadow: only logged (the default); enforce. To enforce, a rule needs a test of each kind.",
        ),
        "when": Key(_condition, "What must hold for the rule to fire.", required=True),
        "unless": Key(_conditions, "Exemptions: any of these keeps the rule from firing."),
        "then": Key(
            Word("an action", {action.value: action for action in Action}),
            "block, review (a person looks at it), or flag (its points count, nothing else).",
            required=True,
        ),
        "reason": Key(_reason, "A code of the registry.", required=True),
        "on_error": Key(
            Word("an outcome", {outcome.value: outcome for outcome in Outcome}),
            "What happens when a check of this rule cannot run; block is the default.",
        ),
        "tell_user": Key(
            MapOf("texts by language", r"[a-z]{2,3}(-[A-Za-z0-9]+)*", Text("a sentence for the user")),
            "What the user is told, by language code: {en: ...}.",
        ),
        "exceptions": Key(
            ListOf("exceptions", _exception), "Tenants for whom the rule does not fire, for a time."
        ),
        "tests": Key(ListOf("tests", _test), "What the rule must block and what it must allow."),
    },
)

_list = Record(
    "a list",
    ListDraft,
    {
        "kind": Key(
            Word("a kind of list", {"people": "people", "words": "words", "digests": "digests"}),
            "people: names, in any order, misspelt; words: words and phrases; digests: SHA-256.",
            required=True,
        ),
        "items": Key(ListOf("entries", _item), "The entries. In a words list, `behead*` matches any ending."),
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
        "rules": Key(ListOf("rules", _rule), "The rules.", required=True),
        "tests": Key(ListOf("tests", _policy_test), "What the whole policy must block and allow."),
    },
)


def policy_json_schema() -> JsonSchema:
    """Returns the JSON Schema (draft-07, the newest that yaml-language-server reads) of a policy file."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Assay guard policy",
        **POLICY.json_schema(),
        "definitions": {"condition": _CONDITION.json_schema()},
    }
