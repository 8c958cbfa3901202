"""Adapters at intake: what they are, who vouches for them, and what trial pictures show."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from safetensors.numpy import save

from guard import (
    Adapter,
    AdapterError,
    BackendError,
    Consent,
    Guard,
    GuardRequest,
    PolicyError,
    SignedConsents,
    Stage,
    issue_consent,
    parse_policy,
    read_adapter,
)
from guard.adapter_facts import AdapterIntake
from guard.adapter_kinds import AdapterKind, adapter_kind
from guard.adapter_manifest import AdapterManifest, VouchedAdapter, read_manifest, sign_manifest
from guard.calibration import Calibration
from guard.gallery import Enrolled, new_gallery
from guard.templates import FaceReader, open_detector, open_embedder
from guard.testing import run_tests
from guard.trial import Trial, TrialBook, TrialOutcome, TrialVerdict, trial_prompts, triggers
from tests.guard import tiny_faces
from tests.guard.conftest import NOW
from tests.guard.tiny_faces import scene

# ---------------------------------------------------------------- kinds

KINDS: dict[str, tuple[AdapterKind, dict[str, tuple[int, ...]]]] = {
    "lora": (AdapterKind.LORA, {"unet.down_blocks.0.attn.to_q.lora_A.weight": (4, 320)}),
    "kohya": (AdapterKind.LORA, {"lora_unet_down_blocks_0_to_k.lora_down.weight": (4, 320)}),
    "loha": (AdapterKind.LORA, {"lora_unet_x.hada_w1_a": (320, 4)}),
    "a1111 embedding": (AdapterKind.TEXTUAL_INVERSION, {"emb_params": (8, 768)}),
    "sdxl embedding": (AdapterKind.TEXTUAL_INVERSION, {"clip_l": (2, 768), "clip_g": (2, 1280)}),
    "diffusers embedding": (AdapterKind.TEXTUAL_INVERSION, {"<my-cat>": (768,)}),
    "ip-adapter": (AdapterKind.IP_ADAPTER, {"image_proj.proj.weight": (3072, 1024),
                                            "ip_adapter.1.to_k_ip.weight": (320, 768)}),
    "controlnet": (AdapterKind.CONTROLNET, {"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3),
                                            "down_blocks.0.resnets.0.conv1.weight": (320, 320, 3, 3)}),
    "old controlnet": (AdapterKind.CONTROLNET, {"control_model.zero_convs.0.0.weight": (320, 320, 1, 1)}),
    "checkpoint": (AdapterKind.CHECKPOINT, {"model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3)}),
    "merged flux": (AdapterKind.CHECKPOINT, {f"double_blocks.{n}.qkv.weight": (9, 9) for n in range(9)}),
    "face vector": (AdapterKind.PERSON_VECTORS, {"faceid_embeds": (1, 1, 512)}),
    "picture vectors": (AdapterKind.PERSON_VECTORS, {"ip_adapter_image_embeds": (2, 1, 1024)}),
    "nameless face vector": (AdapterKind.PERSON_VECTORS, {"x": (512,)}),
    "renamed face vector": (AdapterKind.PERSON_VECTORS, {"emb_params": (1, 512)}),
    "something": (AdapterKind.UNKNOWN, {"a": (2, 3)}),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_file_is_what_its_tensors_are(name: str) -> None:
    kind, shapes = KINDS[name]
    assert adapter_kind(shapes) is kind


def test_vectors_of_a_face_do_not_come_in(tmp_path: Path) -> None:
    path = tmp_path / "style-lora.safetensors"
    path.write_bytes(save({"id_embedding": np.zeros((1, 512), np.float32)}))
    with pytest.raises(AdapterError, match="send the pictures instead"):
        read_adapter(path)
    path.write_bytes(save({"x.lora_A.weight": np.zeros((4, 8), np.float32)}))
    assert read_adapter(path).kind is AdapterKind.LORA


# ---------------------------------------------------------------- manifests

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
DIGEST, UNKNOWN = "ab" * 32, "cd" * 32
MANIFEST = AdapterManifest("studio", NOW, (VouchedAdapter(DIGEST, "Watercolour", AdapterKind.LORA),))


def signed(manifest: AdapterManifest = MANIFEST, key: Ed25519PrivateKey = KEY) -> bytes:
    return sign_manifest(manifest, key).encode()


def test_a_manifest_comes_back_and_vouches_for_what_it_names() -> None:
    manifest = read_manifest(signed(), (OTHER.public_key(), KEY.public_key()))
    assert manifest == MANIFEST
    assert manifest.vouches_for(DIGEST, NOW)
    assert not manifest.vouches_for(UNKNOWN, NOW)
    ending = read_manifest(signed(replace(MANIFEST, not_after=NOW + timedelta(days=1))), (KEY.public_key(),))
    assert ending.vouches_for(DIGEST, NOW)
    assert not ending.vouches_for(DIGEST, NOW + timedelta(days=2))


def test_other_issuers_and_changed_manifests_are_refused() -> None:
    with pytest.raises(AdapterError, match="not signed by a known issuer"):
        read_manifest(signed(), (OTHER.public_key(),))
    with pytest.raises(AdapterError, match="not signed by a known issuer"):
        read_manifest(signed(), ())
    with pytest.raises(AdapterError, match="or was changed since"):
        read_manifest(signed().replace(DIGEST.encode(), UNKNOWN.encode()), (KEY.public_key(),))
    spaced = json.dumps(json.loads(signed()), indent=4).encode()
    assert read_manifest(spaced, (KEY.public_key(),)) == MANIFEST  # layout says nothing


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b'{"manifest": 1}', b'{"manifest": {}, "signature": "?"}', b"\xff", b"[" * 99_999],
)
def test_what_is_no_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(AdapterError, match="adapter manifest"):
        read_manifest(text, (KEY.public_key(),))


@pytest.mark.parametrize(
    "changes", [{"format": 2}, {"issued_at": "2026-01-01"},
                {"adapters": [{"sha256": "x", "title": "", "kind": "lora"}]},
                {"adapters": None}]
)  # fmt: skip
def test_signed_nonsense_is_refused(changes: dict[str, object]) -> None:
    body = {**json.loads(signed())["manifest"], **changes}
    message = b"assay adapter manifest 1\0" + json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    row = {"manifest": body, "signature": base64.b64encode(KEY.sign(message)).decode()}
    with pytest.raises(AdapterError, match="cannot be used"):
        read_manifest(json.dumps(row).encode(), (KEY.public_key(),))


# ---------------------------------------------------------------- trials

TAGS = '{"10_ohwx": {"smile": 3, "ohwx": 40, "hat": 1}}'
ADAPTER = Adapter(DIGEST, 2, 4, {"modelspec.trigger_phrase": "ohwx woman", "ss_tag_frequency": TAGS})


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    folder = tmp_path_factory.mktemp("models")
    detector = open_detector(tiny_faces.yunet(folder / "yunet.onnx"))
    reader = FaceReader(detector, open_embedder(tiny_faces.sface(folder / "sface.onnx")))
    others = np.concatenate([reader.read(scene(*range(at, at + 4))).templates for at in range(100, 180, 4)])
    pairs = (others @ others.T)[np.triu_indices(len(others), 1)]
    return Trial(reader, Calibration.measure(reader.model_id, pairs), "sha256:" + "1" * 64)


def many(prompt: str, seed: int) -> NDArray[np.uint8]:
    return scene(500 + seed)


def one(prompt: str, seed: int) -> NDArray[np.uint8]:
    return scene(7, noise=seed + 1) if seed % 3 else scene(800 + seed)


def nobody(prompt: str, seed: int) -> NDArray[np.uint8]:
    return scene()


@pytest.mark.parametrize(
    ("adapted", "outcome", "alike"),
    [
        (one, TrialOutcome.ONE_PERSON, 8),
        (many, TrialOutcome.MANY_PEOPLE, 1),
        (nobody, TrialOutcome.NOBODY, 0),
    ],
)
def test_one_face_in_most_pictures_is_a_likeness(
    trial: Trial, adapted: Callable[[str, int], NDArray[np.uint8]], outcome: TrialOutcome, alike: int
) -> None:
    verdict = trial.judge(ADAPTER, plain=many, adapted=adapted, pictures=12)
    assert (verdict.outcome, verdict.alike, verdict.pictures) == (outcome, alike, 12)
    assert verdict.with_face == (0 if adapted is nobody else 12)


def test_a_crowd_with_one_person_in_it_is_that_persons_likeness(trial: Trial) -> None:
    verdict = trial.judge(ADAPTER, plain=many, adapted=lambda prompt, seed: scene(900 + seed, 7), pictures=6)
    assert verdict.outcome is TrialOutcome.ONE_PERSON


def test_a_system_that_draws_one_face_by_itself_says_nothing(trial: Trial) -> None:
    with pytest.raises(BackendError, match="without the adapter"):
        trial.judge(ADAPTER, plain=one, adapted=one, pictures=12)
    with pytest.raises(BackendError, match="at least 4 pictures"):
        trial.judge(ADAPTER, plain=many, adapted=one, pictures=3)


def test_protected_people_are_seen_in_a_single_picture(trial: Trial) -> None:
    person = Enrolled("ada", "self-enrolled", trial.reader.only_face(scene(7)))
    gallery = new_gallery([person], model_id=trial.reader.model_id, key=bytes(32))
    guarded = replace(trial, gallery=gallery)

    def rare(prompt: str, seed: int) -> NDArray[np.uint8]:
        return scene(7) if seed == 2 else many(prompt, seed)

    assert (
        guarded.judge(ADAPTER, plain=many, adapted=rare, pictures=4).outcome is TrialOutcome.PROTECTED_PERSON
    )
    with pytest.raises(BackendError, match="do not belong together"):
        replace(trial, gallery=new_gallery([person], model_id="other@1", key=bytes(32)))


def test_prompts_call_what_the_metadata_name() -> None:
    assert triggers(ADAPTER) == ("ohwx woman", "ohwx", "smile")
    prompts = trial_prompts(ADAPTER, 16)
    assert len(prompts) == 16
    assert sum("ohwx woman" in prompt for prompt in prompts) == 4
    assert any("a person" in prompt for prompt in prompts)
    for text in ("", "[]", "{}", '{"a": 1}', '{"a": {"b": "c"}}', "[" * 99_999):
        assert triggers(Adapter(DIGEST, 1, 0, {"ss_tag_frequency": text})) == ()
    assert trial_prompts(Adapter(DIGEST, 1, 0, {}), 2) != ()


def test_verdicts_are_kept_by_digest(tmp_path: Path) -> None:
    book = TrialBook(tmp_path / "trials")
    assert book.verdicts(DIGEST) == ()
    verdict = TrialVerdict(DIGEST, TrialOutcome.MANY_PEOPLE, 16, 12, 2, "sha256:" + "1" * 64, "models@1")
    book.keep(verdict)
    other = replace(verdict, system="sha256:" + "2" * 64, outcome=TrialOutcome.ONE_PERSON)
    path = book.keep(other)
    assert book.verdicts(DIGEST) == (verdict, other)
    assert book.verdicts(UNKNOWN) == ()
    assert AdapterIntake(trials=book).shows_one_person(DIGEST)  # on one system is enough
    with pytest.raises(BackendError, match="was not tried"):
        AdapterIntake(trials=book).shows_one_person(UNKNOWN)
    path.write_text("{}")
    with pytest.raises(BackendError, match="try the adapter again"):
        book.verdicts(DIGEST)


# ---------------------------------------------------------------- rules

POLICY = """\
policy: test.intake
version: 1.0.0
rules:
  - id: vouched-for
    title: An adapter that nobody vouches for
    stage: adapter
    severity: critical
    mode: enforce
    when: {adapter: unsigned}
    then: block
    reason: ADAPTER.UNTRUSTED
    tests:
      - block: {adapter: unsigned}
      - allow: {adapter: signed}
  - id: likeness
    title: An adapter that draws one person, without their consent
    stage: adapter
    severity: critical
    mode: enforce
    when: {all: [{adapter: shows-one-person}, {consent: missing}]}
    then: block
    reason: PERSON.NO_CONSENT
    tests:
      - block: {adapter: shows-one-person}
      - block: {adapter: shows-one-person, consent: expired}
      - block: {adapter: untried}
      - allow: {adapter: shows-one-person, consent: valid}
      - allow: {adapter: shows-nobody}
"""


def fired(tmp_path: Path, outcome: TrialOutcome | None, *tokens: str, digest: str = DIGEST) -> list[str]:
    book = TrialBook(tmp_path)
    if outcome:
        book.keep(TrialVerdict(DIGEST, outcome, 16, 16, 9, "sha256:" + "1" * 64, "models@1"))
    consents = SignedConsents((KEY.public_key(),))
    guard = Guard(
        parse_policy(POLICY), faces=None, consents=consents, clock=lambda: NOW,
        adapters=AdapterIntake((MANIFEST,), book),
    )  # fmt: skip
    adapter = Adapter(digest, 1, 4, {}, consents=tokens)
    return [f.rule_id for f in guard.evaluate(GuardRequest(Stage.ADAPTER, adapters=(adapter,))).findings]


def consent(sha256: str) -> str:
    until = NOW + timedelta(hours=1)
    return issue_consent(Consent("c1", "ada", sha256, "default", ("generate",), NOW, until), KEY)


def test_rules_ask_who_vouches_and_what_trials_show(tmp_path: Path) -> None:
    assert fired(tmp_path / "a", TrialOutcome.MANY_PEOPLE) == []
    assert fired(tmp_path / "b", TrialOutcome.ONE_PERSON) == ["likeness"]
    assert fired(tmp_path / "c", TrialOutcome.PROTECTED_PERSON) == ["likeness"]
    assert fired(tmp_path / "d", TrialOutcome.ONE_PERSON, consent(DIGEST)) == []
    assert fired(tmp_path / "e", TrialOutcome.ONE_PERSON, consent(UNKNOWN), "junk") == ["likeness"]
    assert fired(tmp_path / "f", None) == ["likeness"]  # untried: on_error
    assert fired(tmp_path / "g", None, digest=UNKNOWN) == ["vouched-for", "likeness"]


def test_every_adapter_is_judged_by_itself() -> None:
    """The consent of one does not stand beside the face of another."""

    class Records:
        def signed(self, sha256: str, now: datetime) -> bool:
            return True

        def shows_one_person(self, sha256: str) -> bool:
            return sha256 == DIGEST

    guard = Guard(parse_policy(POLICY), faces=None, consents=SignedConsents((KEY.public_key(),)),
                  clock=lambda: datetime(2026, 5, 4, 12, 0, tzinfo=UTC), adapters=Records())  # fmt: skip
    person = Adapter(DIGEST, 1, 4, {}, consents=(consent(DIGEST),))
    style = Adapter(UNKNOWN, 1, 4, {})
    assert guard.evaluate(GuardRequest(Stage.ADAPTER, adapters=(person, style))).allowed
    bare = replace(person, consents=())
    decision = guard.evaluate(GuardRequest(Stage.ADAPTER, adapters=(style, bare)))
    assert [finding.rule_id for finding in decision.findings] == ["likeness"]
    assert 1 in {evidence.index for evidence in decision.findings[0].evidence}


def test_tests_inside_the_rules_run() -> None:
    policy = parse_policy(POLICY)
    assert run_tests(policy, Guard(policy, faces=None, consents=None, clock=lambda: NOW)).passed


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("{adapter: unsigned}", "{adapter: unlisted}"),
        ("{adapter: unsigned}", "{adapter: unsigned, trusted: x}"),
    ],
)
def test_lists_belong_to_unlisted(good: str, bad: str) -> None:
    with pytest.raises(PolicyError, match=r"belong together|list"):
        parse_policy(POLICY.replace(good, bad, 1))
