"""The guard: policies written as YAML, checked against every text and picture of a request.

Load a policy (`load_policy`), compile it (`Guard`), ask (`Guard.evaluate` returns a `Decision`,
`Guard.enforce` raises `PolicyViolation` unless the decision is to allow). Everything fails closed.
"""

from guard.adapters import Adapter, AdapterLimits, read_adapter
from guard.consent import Consent, ConsentVerifier, SignedConsents, issue_consent
from guard.decision import Decision, Evidence, Finding, NearMiss
from guard.engine import Guard
from guard.errors import (
    AdapterError,
    BackendError,
    ConsentError,
    GuardError,
    PictureError,
    PolicyError,
    PolicyViolation,
    Problem,
)
from guard.faces import FaceBackend, FaceDetection, MtcnnFaces
from guard.loader import load_policy, parse_policy
from guard.location import Location
from guard.model import Outcome, Policy, Rule, Severity, Stage
from guard.request import GuardRequest, Picture, PictureLimits, Text

__all__ = [
    "Adapter",
    "AdapterError",
    "AdapterLimits",
    "BackendError",
    "Consent",
    "ConsentError",
    "ConsentVerifier",
    "Decision",
    "Evidence",
    "FaceBackend",
    "FaceDetection",
    "Finding",
    "Guard",
    "GuardError",
    "GuardRequest",
    "Location",
    "MtcnnFaces",
    "NearMiss",
    "Outcome",
    "Picture",
    "PictureError",
    "PictureLimits",
    "Policy",
    "PolicyError",
    "PolicyViolation",
    "Problem",
    "Rule",
    "Severity",
    "SignedConsents",
    "Stage",
    "Text",
    "issue_consent",
    "load_policy",
    "parse_policy",
    "read_adapter",
]
