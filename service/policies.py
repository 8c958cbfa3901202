"""The policy in force: a file or a signed bundle, followed while the service runs.

A changed file is loaded, linted and tested beside the one in force, which stays where anything is wrong.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from guard import Guard, Policy, load_policy
from guard.bundle import LiveGuard, load_bundle

log = logging.getLogger(__name__)

BUNDLE_SUFFIXES = (".bundle", ".tar")
Stamp = tuple[int, int, int]  # inode, size, time of change in ns


def load(path: Path, issuers: tuple[Ed25519PublicKey, ...]) -> Policy:
    """The policy at `path`; with `issuers`, it must be a bundle that one of them signed.

    Raises `PolicyError` and `BundleError`.
    """
    if issuers or path.suffix in BUNDLE_SUFFIXES:
        return load_bundle(path, issuers)
    return load_policy(path)


@dataclass
class PolicyFollower:
    """Gives the guard in force; looks at the file every `period` seconds, and loads in the background.

    `on_reload` is told the label and the problem ("" where the new policy was taken up).
    """

    path: Path
    issuers: tuple[Ed25519PublicKey, ...]
    live: LiveGuard
    period: float
    on_reload: Callable[[str, str], None] = field(default=lambda label, problem: None)

    def __post_init__(self) -> None:
        self._stamp = _stamp(self.path)
        self._looked = time.monotonic()
        self._busy = threading.Lock()

    @property
    def current(self) -> Guard:
        """The guard in force; never waits for a new one."""
        if self.period and time.monotonic() - self._looked >= self.period:
            self._looked = time.monotonic()
            if _stamp(self.path) != self._stamp and self._busy.acquire(blocking=False):
                threading.Thread(target=self._reload, name="policy", daemon=True).start()
        return self.live.current

    def _reload(self) -> None:
        try:
            self._stamp = _stamp(self.path)  # before it is read: a change while reading is looked at again
            result = self.live.offer(lambda: load(self.path, self.issuers))
            if result.taken:
                log.info("policy %s is in force", result.label)
            else:
                log.error("%s was refused, %s stays in force: %s", self.path, result.label, result.problem)
            self.on_reload(result.label, result.problem)
        finally:
            self._busy.release()


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def follow(
    path: Path, issuers: tuple[Ed25519PublicKey, ...], build: Callable[[Policy], Guard], period: float
) -> PolicyFollower:
    """Loads the policy at `path` and follows it. Raises `GuardError` where it cannot be used at all."""
    return PolicyFollower(path, issuers, LiveGuard(build(load(path, issuers)), build), period)
