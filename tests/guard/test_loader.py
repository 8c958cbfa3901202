"""The loader: every error with its place, all at once, and none of YAML's surprises."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from guard import PolicyError, load_policy, parse_policy, source
from guard.errors import Problem
from guard.model import Certainty, Entry, Mentions, Words
from guard.source import MAX_DEPTH, MAX_SOURCE_CHARACTERS
from tests.guard.conftest import POLICY


def problems(text: str, folder: Path | None = None) -> tuple[Problem, ...]:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, "p.yaml", folder=folder)
    return caught.value.problems


def test_a_good_policy_is_read_whole() -> None:
    policy = parse_policy(POLICY, "p.yaml")
    assert policy.label == "test.small@1.0.0"
    assert [rule.id for rule in policy.rules] == ["official", "face"]
    assert [entry.names for entry in policy.lists["art"].entries] == [("statue",), ("cartoon",)]
    assert policy.rules[0].unless == (Words("art", policy.rules[0].unless[0].at, Certainty.LIKELY, 3),)
    assert isinstance(policy.rules[0].when.all[0], Mentions)  # type: ignore[union-attr]
    assert str(policy.rules[0].at) == "p.yaml:9:5"


def test_all_errors_come_at_once_each_with_line_column_and_suggestion() -> None:
    text = POLICY
    for good, bad in {
        "severity: high": "severty: high",
        "stage: reference": "stage: referense",
        "reason: PERSON.NO_CONSENT": "reason: PERSON.NO_CONSNT",
        "- words: press": "- words: pres",
        "tell_user: {en: Consent is needed.}": "tel_user: {en: Consent is needed.}",
    }.items():
        text = text.replace(good, bad, 1)
    found = [(p.location.line, p.location.column, p.suggestion) for p in problems(text)]
    assert found == [
        (12, 5, "severity"),
        (17, 18, "press"),
        (34, 12, "reference"),
        (39, 13, "PERSON.NO_CONSENT"),
        (40, 5, "tell_user"),
    ]


def test_an_error_shows_its_line_with_a_caret() -> None:
    (problem,) = problems(POLICY.replace("then: block", "then: blok", 1))
    assert problem.render().splitlines() == [
        "p.yaml:20:11: 'blok' is not an action (one of: block, review, flag) - did you mean 'block'?",
        "   20 |     then: blok",
        "                  ^",
    ]


@pytest.mark.parametrize(
    "word", ["no", "on", "off", "1e5", "12:30", "2026-01-01", "0x1F", "null and void", "~x"]
)
def test_scalars_are_the_text_that_was_written(word: str) -> None:
    policy = parse_policy(POLICY.replace("[statue, cartoon]", f"[statue, {word}]"), "p.yaml")
    assert policy.lists["art"].entries[1].names == (word,)


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("version: 1.0.0", "version: 1.0", "a version such as 1.2.0"),
        ("2026-12-31", "2026-02-30", "the last day as YYYY-MM-DD"),
        ("100%", "101%", "a share such as `95%`"),
        ("within: 3 words", "within: 0 words", "a distance such as `6 words`"),
        ("id: face", "id: 12", "reads as a number"),
        ("id: face", "id: official", "already used in line 9"),
        ("id: face", "id: Face", "an id (a-z, 0-9 and -)"),
        ("title: A face without consent", "title:", "expected a title, found nothing"),
        ("- words: press", "- mentions: press", "is a list of words, and people are needed"),
        ("stage: reference", "stage: prompt", "pictures are not seen at stage 'prompt'"),
        ("unchecked_stages: [output]", "unchecked_stages: [prompt]", "and has rules"),
        ("press photo of {person}", "press photo", "belong together"),
        ("      - block: {face: present}\n", "      - block: some text\n", "looks at a picture"),
        ("      - allow: {face: present, consent: valid}\n", "", "an `allow` test before it may enforce"),
        (
            "      - block: {face: unknown}\n",
            "      - review: {face: unknown}\n",
            "this rule's action is 'block'",
        ),
        ("[homoglyphs, leet]", "[homoglyph]", "is not an attack"),
        ("items: [statue, cartoon]", "file: ../x.txt", "a file name"),
        ("items: [statue, cartoon]", "file: a/../../x.txt", "leaves the policy's folder"),
        ("items: [statue, cartoon]", "file: none.txt", "cannot be read"),
        ("items: [statue, cartoon]", "items: [statue], file: x.txt", "needs either `items` or `file`"),
        ("  art:", "  Art:", "cannot be a name here"),
        ("{all: [{face: present}, {consent: missing}]}", "{face: present, consent: missing}", "not both"),
        ("{all: [{face: present}, {consent: missing}]}", "{all: []}", "the list of conditions is empty"),
        ("{all: [{face: present}, {consent: missing}]}", "[]", "expected a condition, found a list"),
        ("tell_user: {en: No officials.,", "tell_user: {en: No officials., en: x,", "is given twice"),
    ],
)
def test_what_is_wrong_is_said(good: str, bad: str, message: str, tmp_path: Path) -> None:
    assert good in POLICY
    assert any(message in p.message for p in problems(POLICY.replace(good, bad, 1), tmp_path))


def test_a_key_given_twice_names_the_first_line() -> None:
    (problem,) = problems(POLICY.replace("    then: block", "    then: block\n    then: review", 1))
    assert problem.message == "key 'then' is given twice; first in line 20"
    assert problem.location.line == 21


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("[1, 2]", "expected a policy, found a list"),
        ("policy: a\nversion: 1.0.0\nrules: []", "the list of rules is empty"),
        ("a: &x [1]\nb: *x", "anchors are not supported"),
        ("a: *x", "aliases are not supported"),
        ("a: !!python/object/apply:os.system [ls]", "are not supported"),
        ("a: 1\n---\nb: 2", "a second document"),
        ("? [a]\n: b", "a key must be a single word"),
        ("a: [1, 2", "not valid YAML"),
        ("a: \x07", "a character that YAML forbids"),
        ("a: " + "[" * (MAX_DEPTH + 1), "levels deep"),
        ("a" * (MAX_SOURCE_CHARACTERS + 1), "move lists to files"),
    ],
)
def test_files_that_are_no_policy_are_refused(text: str, message: str) -> None:
    assert message in problems(text)[0].message


def test_list_files_are_read_and_are_part_of_the_digest(tmp_path: Path) -> None:
    text = POLICY.replace("items: [Amy Klobuchar, Jack Reed, Todd Young, Robert Wittman]", "file: who.jsonl")
    text = text.replace("items: [statue, cartoon]", "file: art.txt")
    (tmp_path / "p.yaml").write_text(text, "utf-8")
    (tmp_path / "art.txt").write_text("# comment\nstatue\n\ncartoon\n", "utf-8")
    rows = [{"id": "Q1", "name": "Amy Klobuchar", "aliases": ["艾米·克洛布彻"]}, {"name": "Jack Reed"}]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "who.jsonl").write_text(f"# source\n{lines}\n", "utf-8")
    first = load_policy(tmp_path / "p.yaml")
    assert first.lists["people"].entries[0] == Entry("Q1", ("Amy Klobuchar", "艾米·克洛布彻"))
    assert [entry.id for entry in first.lists["people"].entries] == ["Q1", "people:3"]
    assert [entry.names[0] for entry in first.lists["art"].entries] == ["statue", "cartoon"]
    (tmp_path / "art.txt").write_text("statue\n", "utf-8")
    assert load_policy(tmp_path / "p.yaml").digest != first.digest


@pytest.mark.parametrize(
    "line",
    ["{", '{"name": ""}', '{"nam": "x"}', '"x"', '{"name": "x", "aliases": "y"}', '{"name": 3}', "[" * 9999],
)
def test_bad_lines_of_list_files_are_named(line: str, tmp_path: Path) -> None:
    text = POLICY.replace("items: [Amy Klobuchar, Jack Reed, Todd Young, Robert Wittman]", "file: who.jsonl")
    (tmp_path / "who.jsonl").write_text(f'{{"name": "A B"}}\n{line}\n', "utf-8")
    assert [str(p.location) for p in problems(text, tmp_path)] == ["who.jsonl:2:1"]


def test_list_files_that_are_not_text_are_refused(tmp_path: Path) -> None:
    text = POLICY.replace("items: [statue, cartoon]", "file: art.txt")
    (tmp_path / "art.txt").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in problems(text, tmp_path)[0].message
    (tmp_path / "art.txt").write_text("x" * 300, "utf-8")
    assert problems(text, tmp_path)[0].message == "entry too long"
    with (tmp_path / "art.txt").open("wb") as file:
        file.truncate(2**30)  # sparse
    assert "larger than" in problems(text, tmp_path)[0].message
    assert "was not read from a folder" in problems(text)[0].message


def test_files_that_cannot_be_read_are_policy_errors(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("policy: caf\xe9".encode("latin-1"))
    with pytest.raises(PolicyError, match="not UTF-8"):
        load_policy(tmp_path / "latin.yaml")


def test_a_file_of_too_many_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_NODES", 1000)
    with pytest.raises(PolicyError, match="more than 1,000 values; move lists to files"):
        parse_policy("a: [" + "[], " * 1000 + "]", "p.yaml")
