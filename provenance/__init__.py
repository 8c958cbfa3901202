"""Saying what made a medium, and proving it later: C2PA manifests, a registry, fingerprints, verdicts.

```python
authority = create_dev_authority(folder, now=now)
key = SigningKey.from_files(authority.chain, authority.key)
trust = TrustAnchors.bundled().with_claim_root(authority.root.read_bytes())
signed = sign_asset(source, target, facts, key, trust=trust)

evidence = inspect_media(upload, detector=detector, trust=trust, limits=limits)   # in the limited process
report = judge(evidence, registry, now=now)
```
"""

from provenance.authority import DevAuthority, create_dev_authority, renew_dev_leaf
from provenance.comparison import Comparison, Match, compare
from provenance.credentials import C2paReport, C2paState
from provenance.errors import (
    AuthorityError,
    FingerprintError,
    KeyMaterialError,
    ManifestError,
    ProvenanceError,
    ReadError,
    RegistryError,
    SettingsError,
    SigningError,
    TrustError,
)
from provenance.evidence import Evidence
from provenance.fingerprint import Fingerprint, Views, fingerprint_frames, fingerprint_media
from provenance.inspection import inspect_media
from provenance.judge import judge
from provenance.keys import Algorithm, SigningKey
from provenance.labels import Labels, read_labels
from provenance.manifest import (
    SOFT_BINDING_ALG,
    Agent,
    Input,
    ManifestFacts,
    Model,
    PolicyRef,
    Role,
    SourceType,
)
from provenance.profile import Finding, Severity, explain_certificate
from provenance.read import read_manifest
from provenance.registry import InMemoryRegistry, Record, Registry
from provenance.report import Explanation, Report, Verdict
from provenance.sign import SignedAsset, sign_asset
from provenance.summary import one_line
from provenance.trust import Anchor, TrustAnchors

__all__ = [
    "SOFT_BINDING_ALG",
    "Agent",
    "Algorithm",
    "Anchor",
    "AuthorityError",
    "C2paReport",
    "C2paState",
    "Comparison",
    "DevAuthority",
    "Evidence",
    "Explanation",
    "Finding",
    "Fingerprint",
    "FingerprintError",
    "InMemoryRegistry",
    "Input",
    "KeyMaterialError",
    "Labels",
    "ManifestError",
    "ManifestFacts",
    "Match",
    "Model",
    "PolicyRef",
    "ProvenanceError",
    "ReadError",
    "Record",
    "Registry",
    "RegistryError",
    "Report",
    "Role",
    "SettingsError",
    "Severity",
    "SignedAsset",
    "SigningError",
    "SigningKey",
    "SourceType",
    "TrustAnchors",
    "TrustError",
    "Verdict",
    "Views",
    "compare",
    "create_dev_authority",
    "explain_certificate",
    "fingerprint_frames",
    "fingerprint_media",
    "inspect_media",
    "judge",
    "one_line",
    "read_labels",
    "read_manifest",
    "renew_dev_leaf",
    "sign_asset",
]
