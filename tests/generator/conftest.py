"""A whole bench for one generator: keys, dev authority, a small policy, tiny pipelines, a register that
keeps count."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch

from generator import Issuer, QualityRules, SafeGenerator, SignedMedia, System, UnsignedMedia
from generator.convolutions import quicken
from generator.systems import system_named
from guard import Guard, MtcnnFaces, parse_policy
from provenance import SigningKey, TrustAnchors, create_dev_authority
from tests.generator import tiny_systems
from watermark import Detector, KeyRing, MediaId

MASTER = hashlib.sha256(b"generator tests").digest()
PROMPT_KEY = bytes(range(7, 39))
MEDIA_ID = MediaId(0x0123456789AB)
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ANYTHING_GOES = QualityRules(
    max_black=1.0,
    max_dead=1.0,
    max_frozen=1.0,
    max_flash=math.inf,
    max_flicker=math.inf,
    max_blocks=math.inf,
    max_bands=math.inf,
)
"""Random weights make pictures that no quality rule should have to like."""

POLICY = """
policy: test.generator
version: 1.0.0
unchecked_stages: [output]
lists:
  weapons: {kind: words, items: [dagger]}
rules:
  - id: no-daggers
    title: Daggers
    stage: prompt
    severity: critical
    mode: enforce
    when: {words: weapons}
    then: block
    reason: VIOLENCE.GRAPHIC
    tests: [{block: a dagger}, {allow: a boat}]
  - id: faces-need-consent
    title: Faces
    stage: reference
    severity: critical
    mode: enforce
    when: {all: [{face: present}, {consent: missing}]}
    then: block
    reason: PERSON.NO_CONSENT
    tests: [{block: {face: present}}, {allow: {face: none}}]
"""


class InPlaceDetector(Detector):
    """Looks where the mark of an untouched result is, and nowhere else."""

    @staticmethod
    def _searched(maps: Any, ring: KeyRing) -> list[Any]:
        return []


@dataclass
class Desk:
    """A registry desk that notes what it is given and can be told to fail."""

    released: list[tuple[Path, SignedMedia | UnsignedMedia]] = field(default_factory=list)
    failure: Exception | None = None

    def __call__(self, path: Path, asset: SignedMedia | UnsignedMedia) -> None:
        if self.failure is not None:
            raise self.failure
        self.released.append((path, asset))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def ring() -> KeyRing:
    return KeyRing.derive(MASTER, deployment="tests")


@pytest.fixture(scope="session")
def detector(ring: KeyRing) -> Detector:
    return Detector([ring])


@pytest.fixture(scope="session")
def guard() -> Guard:
    return Guard(parse_policy(POLICY), faces=MtcnnFaces(), consents=None, clock=lambda: NOW)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory, ring: KeyRing, detector: Detector) -> dict[str, Any]:
    """What every issuer needs: the arguments of `Issuer` but the folder. The authority is of today: c2pa
    looks."""
    folder = tmp_path_factory.mktemp("authority")
    authority = create_dev_authority(folder, now=datetime.now(UTC))
    return {
        "ring": ring,
        "detector": detector,
        "signing_key": SigningKey.from_files(authority.chain, authority.key),
        "trust": TrustAnchors.bundled().with_claim_root(authority.root.read_bytes()),
        "clock": lambda: datetime.now(UTC),
    }


@pytest.fixture(scope="session")
def wan_system() -> System:
    return system_of("wan2.1-t2v-1.3b")


@pytest.fixture(scope="session")
def image_system() -> System:
    return system_of("sd1.5")


def system_of(name: str) -> System:
    pipeline = tiny_systems.build(name)
    for component in pipeline.components.values():
        if isinstance(component, torch.nn.Module):
            quicken(component)
    return System(system_named(name), pipeline, "sha256:" + "0" * 64)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small pipeline as `save_pretrained` writes it."""
    folder = tmp_path_factory.mktemp("saved") / "little-sd"
    tiny_systems.build("sd1.5").save_pretrained(folder)
    return folder


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def issuer(keys: dict[str, Any], tmp_path: Path) -> Issuer:
    return Issuer(folder=tmp_path / "out", **keys)


@pytest.fixture
def safe_wan(wan_system: System, guard: Guard, keys: dict[str, Any], tmp_path: Path) -> SafeGenerator:
    return _safe(wan_system, guard, keys, tmp_path)


@pytest.fixture
def safe_image(image_system: System, guard: Guard, keys: dict[str, Any], tmp_path: Path) -> SafeGenerator:
    return _safe(image_system, guard, keys, tmp_path)


def _safe(system: System, guard: Guard, keys: dict[str, Any], tmp_path: Path) -> SafeGenerator:
    return SafeGenerator(
        system=system,
        guard=guard,
        prompt_key=PROMPT_KEY,
        quality=ANYTHING_GOES,
        folder=tmp_path / "out",
        **keys,
    )
