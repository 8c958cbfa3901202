"""The grammar of conditions."""

from __future__ import annotations

from guard.language.words import (
    certainty,
    certainty_key,
    digest_list,
    hash_list,
    pattern_list,
    people_list,
    uploads,
    within_key,
    word_list,
)
from guard.model import (
    AdapterFile,
    AllOf,
    AnyOf,
    Condition,
    Consent,
    Face,
    Idea,
    KnownPicture,
    Mentions,
    Pattern,
    ProtectedFace,
    Role,
    Shows,
    Words,
)
from guard.schema import Choice, Key, ListOf, Record, Shared, Spec, Text, Word

_words = Record(
    "a `words` condition",
    Words,
    {
        "words": Key(word_list, "A text contains an entry of this list.", required=True),
        "certainty": certainty_key,
        "within": within_key,
    },
)
_mentions = Record(
    "a `mentions` condition",
    Mentions,
    {
        "mentions": Key(people_list, "A text names one of these people.", required=True),
        "certainty": certainty_key,
        "within": within_key,
        "as": Key(
            Word("a role", {role.value: role for role in Role}),
            "Only names in this role; subject: who is shown; style: whose style is borrowed.",
        ),
    },
)
_pattern = Record(
    "a `pattern` condition",
    Pattern,
    {
        "pattern": Key(pattern_list, "A text has a piece that fits one of these patterns.", required=True),
        "certainty": certainty_key,
        "within": within_key,
    },
)
_idea = Record(
    "an `idea` condition",
    Idea,
    {
        "idea": Key(
            Text("an idea", max_length=200),
            "A text is about this: violence, self-harm, hate, harassment, sexual, illegal or shocking; a "
            "text encoder takes any words.",
            required=True,
        ),
        "certainty": Key(certainty, "How rarely it may be wrong; likely is the default."),
    },
)
_known_picture = Record(
    "a `hash` condition",
    KnownPicture,
    {"hash": Key(hash_list, "A picture is a copy of one whose PDQ hash is listed.", required=True)},
)
_face = Record(
    "a `face` condition",
    Face,
    {
        "face": Key(
            Word("a state of a face", {"present": "present"}), "A face is in the picture.", required=True
        ),
        "certainty": Key(certainty, "How sure the detector must be; likely is the default."),
    },
)
_protected_face = Record(
    "a `face_matches` condition",
    ProtectedFace,
    {
        "face_matches": Key(
            Word("a gallery", {"protected-people": "protected-people"}),
            "Somebody of the gallery of protected people is in the picture.",
            required=True,
        ),
        "wrong_person_at_most": Key(
            uploads,
            "How many pictures of strangers may be taken for somebody in the gallery; 1 in 100000 uploads.",
        ),
    },
)
_shows = Record(
    "a `shows` condition",
    Shows,
    {
        "shows": Key(
            Text("a description", max_length=200),
            "A picture shows this, in any words: a person covered in blood; needs an image-text model.",
            required=True,
        ),
        "certainty": Key(certainty, "How sure the model must be; likely is the default."),
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
_ADAPTER_STATES = ("unlisted", "unsigned", "shows-one-person")
_adapter = Record(
    "an `adapter` condition",
    AdapterFile,
    {
        "adapter": Key(
            Word("a state of an adapter", {state: state for state in _ADAPTER_STATES}),
            "unlisted: its SHA-256 is not in the list; unsigned: no manifest of a known issuer names it; "
            "shows-one-person: its trial pictures do.",
            required=True,
        ),
        "trusted": Key(digest_list, "The list of adapters that may be used, for `unlisted`."),
    },
)
CONDITION: Spec[Condition] = Shared("condition", lambda: CONDITION_GRAMMAR)
conditions = ListOf("conditions", CONDITION)
_all = Record(
    "an `all` condition", AllOf, {"all": Key(conditions, "Every one of these holds.", required=True)}
)
_any = Record(
    "an `any` condition", AnyOf, {"any": Key(conditions, "At least one of these holds.", required=True)}
)
CONDITION_GRAMMAR: Spec[Condition] = Choice[Condition](
    "a condition",
    {
        "all": _all,
        "any": _any,
        "words": _words,
        "mentions": _mentions,
        "pattern": _pattern,
        "idea": _idea,
        "face": _face,
        "face_matches": _protected_face,
        "hash": _known_picture,
        "shows": _shows,
        "consent": _consent,
        "adapter": _adapter,
    },
)
