"""Signed policy bundles: one file with a policy and its lists, which a running service can take up.

A bundle is an uncompressed tar with, in this order, `manifest.json`, `signature`, `policy.yaml` and the
list files. The manifest (canonical JSON) gives the policy's label and digest and the SHA-256 of every file;
the signature is Ed25519 (RFC 8032) over a domain tag and the manifest. The same input gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from guard.engine import Guard
from guard.errors import BundleError, PolicyError
from guard.lint import IssueSeverity, lint_policy
from guard.loader import parse_policy, read_policy
from guard.model import Policy
from guard.signatures import signed_by_any
from guard.testing import run_tests

BUNDLE_FORMAT = 1
MAX_BUNDLE_BYTES = 256 * 2**20  # lists of half a million people take about 70 MB
_DOMAIN = b"assay policy bundle 1\0"
_POLICY = "policy.yaml"


def sign_bundle(policy_path: Path, target: Path, key: Ed25519PrivateKey) -> Policy:
    """Writes the policy at `policy_path` with its lists and all it extends, signed, to `target`.

    Returns the policy.

    Raises `PolicyError` where the policy does not load, `BundleError` where lint finds an error or a test
    fails.
    """
    policy, read = read_policy(policy_path)
    _require_good(policy)
    files = {_POLICY if name == policy_path.name else name: data for name, data in read.items()}
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    manifest = {"format": BUNDLE_FORMAT, "policy": policy.label, "digest": policy.digest, "files": sums}
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    members = {"manifest.json": text, "signature": key.sign(_DOMAIN + text), **files}
    temporary = target.with_name(target.name + ".new")
    with (
        temporary.open("wb") as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    temporary.replace(target)
    return policy


def load_bundle(path: Path, issuers: Sequence[Ed25519PublicKey]) -> Policy:
    """Returns the policy in the bundle at `path` where one of `issuers` signed it and every file is as
    signed.

    Raises `BundleError`, or `PolicyError` where a signed policy does not load here.
    """
    members = _members(path)
    manifest = _verified(members, issuers)
    files = {name: members.get(name) for name in manifest["files"]}
    for name, data in files.items():
        if data is None or hashlib.sha256(data).hexdigest() != manifest["files"][name]:
            raise BundleError(f"bundle {path}: {name} is missing or not as it was signed")
    if files.keys() | {"manifest.json", "signature"} != members.keys():
        raise BundleError(f"bundle {path} has files that were not signed")
    contents = {name: data for name, data in files.items() if data is not None}
    try:
        text = contents.pop(_POLICY).decode("utf-8-sig")
    except (KeyError, UnicodeDecodeError) as error:
        raise BundleError(f"bundle {path} has no readable {_POLICY}") from error
    policy = parse_policy(text, f"{path}:{_POLICY}", files=contents)
    if policy.digest != manifest["digest"]:
        raise BundleError(f"bundle {path}: the policy's digest is not the signed one")
    return policy


def _members(path: Path) -> dict[str, bytes]:
    """Returns the regular files of a tar; anything else in it, or a file twice, is refused."""
    found: dict[str, bytes] = {}
    try:
        if path.stat().st_size > MAX_BUNDLE_BYTES:
            raise BundleError(f"bundle {path} is larger than {MAX_BUNDLE_BYTES:,} bytes")
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() and member.name not in found else None
                if content is None:
                    raise BundleError(
                        f"bundle {path}: {member.name!r} is not a plain file, or is there twice"
                    )
                found[member.name] = content.read()
    except (OSError, tarfile.TarError) as error:
        raise BundleError(f"bundle {path} cannot be read: {error}") from error
    return found


def _verified(members: dict[str, bytes], issuers: Sequence[Ed25519PublicKey]) -> dict[str, Any]:
    text, signature = members.get("manifest.json", b""), members.get("signature", b"")
    if not signed_by_any(issuers, signature, _DOMAIN + text):
        raise BundleError("the bundle is not signed by a known issuer")
    manifest = json.loads(text)
    if manifest.get("format") != BUNDLE_FORMAT:
        raise BundleError(
            f"the bundle has format {manifest.get('format')}; this version reads {BUNDLE_FORMAT}"
        )
    return dict(manifest)


def _require_good(policy: Policy, guard: Guard | None = None) -> None:
    """Raises `BundleError` where a policy has lint errors or fails its own tests."""
    errors = [issue for issue in lint_policy(policy) if issue.severity is IssueSeverity.ERROR]
    if errors:
        raise BundleError(f"{policy.label}: {errors[0].at}: {errors[0].message}")
    report = run_tests(policy, guard.silent() if guard else _plain_guard(policy))
    if not report.passed:
        failure = next(iter(report.failures), None)
        where = f"{failure.at}: {failure.message}" if failure else "it has no tests"
        raise BundleError(f"{policy.label} does not pass its own tests: {where}")


def _plain_guard(policy: Policy) -> Guard:
    from datetime import UTC, datetime

    return Guard(policy, faces=None, consents=None, clock=lambda: datetime(2000, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Reload:
    """What came of offering a new policy: the label that is in force now, and why not the new one."""

    label: str
    taken: bool
    problem: str = ""


class LiveGuard:
    """Holds the guard in force and takes up another policy in one step, or not at all."""

    def __init__(self, guard: Guard, build: Callable[[Policy], Guard]) -> None:
        """`build` makes a guard of a policy with the service's backends, clock and keys."""
        self._guard = guard
        self._build = build

    @property
    def current(self) -> Guard:
        """The guard in force; a request keeps the one it began with."""
        return self._guard

    def offer(self, load: Callable[[], Policy]) -> Reload:
        """Takes up the policy that `load` returns if it loads, has no lint errors and passes its tests."""
        try:
            policy = load()
            guard = self._build(policy)
            _require_good(policy, guard)
        except (PolicyError, BundleError) as error:
            return Reload(self._guard.policy.label, False, str(error))
        self._guard = guard
        return Reload(policy.label, True)
