"""The grammar of rules."""

from __future__ import annotations

from guard.language.conditions import CONDITION, conditions
from guard.language.tests import TEST
from guard.language.words import frames, identifier, reason, strictness
from guard.model import Action, Mode, Outcome, Rule, RuleException, Severity, Stage
from guard.schema import Key, ListOf, MapOf, Record, Text, Word, day

_exception = Record(
    "an exception",
    RuleException,
    {
        "id": Key(identifier("an id"), "A name for the exception, for the log.", required=True),
        "tenant": Key(
            Text("a tenant", r"\S+", 200), "The tenant for whom the rule does not fire.", required=True
        ),
        "until": Key(day("the last day"), "The last day on which it holds (UTC).", required=True),
        "why": Key(Text("a reason"), "Who allowed it and why.", required=True),
    },
)

RULE = Record(
    "a rule",
    Rule,
    {
        "id": Key(
            identifier("an id"), "A short name that stays the same for ever; logs carry it.", required=True
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
        "strictness": Key(
            strictness, "The policy's strictness, 1 to 4, from which the rule is looked at; 1 is the default."
        ),
        "frames_in_a_row": Key(
            frames, "At stage output: how many neighbouring frames must be found; 1 is the default."
        ),
        "when": Key(CONDITION, "What must hold for the rule to fire.", required=True),
        "unless": Key(conditions, "Exemptions: any of these keeps the rule from firing."),
        "then": Key(
            Word("an action", {action.value: action for action in Action}),
            "block, review (a person looks at it), or flag (its points count, nothing else).",
            required=True,
        ),
        "reason": Key(reason, "A code of the registry.", required=True),
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
        "tests": Key(ListOf("tests", TEST), "What the rule must block and what it must allow."),
    },
)
