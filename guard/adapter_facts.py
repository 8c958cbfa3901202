"""What is known of the adapters of a request, found out when a rule asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from guard.adapter_manifest import AdapterManifest
from guard.consent import Binding, ConsentVerifier
from guard.errors import BackendError, ConsentError
from guard.request import GuardRequest
from guard.trial import TrialBook, TrialOutcome

_PEOPLE = (TrialOutcome.ONE_PERSON, TrialOutcome.PROTECTED_PERSON)


class AdapterRecords(Protocol):
    """Something that knows adapters by their digest (SHA-256, hex)."""

    def signed(self, sha256: str, now: datetime) -> bool:
        """Returns whether a known issuer vouches for the file."""
        ...

    def shows_one_person(self, sha256: str) -> bool:
        """Returns whether its trial pictures show one person; `BackendError` where it was not tried."""
        ...


@dataclass(frozen=True)
class AdapterIntake:
    """What the operator has signed and tried."""

    manifests: Sequence[AdapterManifest] = ()
    trials: TrialBook | None = None

    def signed(self, sha256: str, now: datetime) -> bool:
        """Returns whether a manifest that still holds names the file."""
        return any(manifest.vouches_for(sha256, now) for manifest in self.manifests)

    def shows_one_person(self, sha256: str) -> bool:
        """Returns whether any trial of the file showed one person; `BackendError` where there is none."""
        verdicts = self.trials.verdicts(sha256) if self.trials else ()
        if not verdicts:
            raise BackendError("the adapter was not tried; `assay adapters inspect FILE --trial` does")
        return any(verdict.outcome in _PEOPLE for verdict in verdicts)


@dataclass(frozen=True)
class AdapterFacts:
    """Answers of rules about the adapters of one request, each by its number."""

    request: GuardRequest
    records: AdapterRecords | None
    consents: ConsentVerifier | None
    clock: Callable[[], datetime]

    def unsigned(self, index: int) -> bool:
        """Returns whether nobody vouches for an adapter."""
        digest = self.request.adapters[index].sha256
        return self.records is None or not self.records.signed(digest, self.clock())

    def shows_one_person(self, index: int) -> bool:
        """Returns whether an adapter draws one person. Raises `BackendError` where that is not known."""
        if self.records is None:
            raise BackendError("no trials of adapters are set up")
        return self.records.shows_one_person(self.request.adapters[index].sha256)

    def consented(self, index: int) -> bool:
        """Returns whether a valid consent names this very file."""
        adapter = self.request.adapters[index]
        return any(self._covers(token, adapter.sha256) for token in adapter.consents)

    def _covers(self, token: str, sha256: str) -> bool:
        if self.consents is None:
            return False
        request = self.request
        try:
            consent = self.consents.verify(
                token, tenant=request.tenant, purpose=request.purpose, sha256=sha256, now=self.clock()
            )
        except ConsentError:
            return False
        return consent.binding is Binding.PICTURE
