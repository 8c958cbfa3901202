"""The grammar of tests."""

from __future__ import annotations

from typing import Any

from guard.attacks import ATTACKS
from guard.language.words import people_list, percent, word_list
from guard.location import Location
from guard.model import AdapterCase, AttackTest, Case, CaseTest, PictureCase, RuleTest
from guard.schema import Choice, Either, Key, ListOf, Record, Spec, Text, Word

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


def _known(at: Location, *, hash: str) -> PictureCase:
    return PictureCase("none", at, hash=hash)


def _matched(at: Location, *, face_matches: str, consent: str = "none") -> PictureCase:
    return PictureCase("present", at, consent=consent, match=face_matches)


def _shown(at: Location, *, shows: str) -> PictureCase:
    return PictureCase("none", at, shows=shows)


_match_state = Word("a state of a face", {"enrolled": "enrolled", "nobody": "nobody"})
_consent_state = Word("a state of consent", {"valid": "valid", "none": "none", "expired": "expired"})
_matched_case = Record(
    "a face",
    _matched,
    {
        "face_matches": Key(_match_state, "Whether it is of somebody in the gallery.", required=True),
        "consent": Key(_consent_state, "The consent token that comes with the picture; none is the default."),
    },
)
_hash_state = Word("a state of a picture", {"listed": "listed", "unlisted": "unlisted"})
_known_case = Record(
    "a known picture", _known, {"hash": Key(_hash_state, "Whether it is in the lists.", required=True)}
)
_shown_case = Record(
    "a picture in words",
    _shown,
    {
        "shows": Key(
            Text("a description", max_length=200),
            "What it shows, in the words of the condition; or nothing.",
            required=True,
        )
    },
)
_ADAPTER_STATES = (
    "listed", "unlisted", "signed", "unsigned", "shows-one-person", "shows-nobody", "untried",
)  # fmt: skip
_adapter_case = Record(
    "an adapter",
    AdapterCase,
    {
        "adapter": Key(
            Word("a state of an adapter", {state: state for state in _ADAPTER_STATES}),
            "What is known of it; in every other way it is one to be let in.",
            required=True,
        ),
        "consent": Key(_consent_state, "The consent token that comes with the file; none is the default."),
    },
)
_described: Spec[Case] = Choice[Case](
    "a case",
    {
        "face": _picture,
        "hash": _known_case,
        "face_matches": _matched_case,
        "shows": _shown_case,
        "adapter": _adapter_case,
    },
)
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
        "person": Key(people_list, "The list that {person} stands for."),
        "word": Key(word_list, "The list that {word} stands for."),
        "with": Key(
            ListOf("attacks", Word("an attack", {name: name for name in ATTACKS})),
            "The disguises to try.",
            required=True,
        ),
        "block_at_least": Key(
            percent, "The share that the rule must still see, for example 95%.", required=True
        ),
    },
)
_verdict_tests: dict[str, Record[RuleTest]] = {
    "block": _case_test("block", "The rule must block this."),
    "review": _case_test("review", "The rule must send this to review."),
    "flag": _case_test("flag", "The rule must flag this."),
    "allow": _case_test("allow", "The rule must let this through."),
}
TEST: Spec[RuleTest] = Choice[RuleTest]("a test", {**_verdict_tests, "attack": _attack_test})
POLICY_TEST: Spec[RuleTest] = Choice[RuleTest](
    "a test of the whole policy", {word: _verdict_tests[word] for word in ("block", "review", "allow")}
)
