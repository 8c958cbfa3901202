"""The exception family of this package."""


class ProvenanceError(Exception):
    """Base of every error raised by `provenance`."""


class KeyMaterialError(ProvenanceError):
    """A signing key or certificate chain that cannot sign: missing, mismatched, expired or of the wrong
    profile."""


class AuthorityError(ProvenanceError):
    """The dev authority could not be written, or is there already."""


class TrustError(ProvenanceError):
    """A trust list that holds no certificate, or one that cannot be read."""


class SettingsError(ProvenanceError):
    """A setting that the C2PA library would ignore in silence."""


class ManifestError(ProvenanceError):
    """Facts that no manifest can state: a missing source type, a bad digest, an empty title."""


class SigningError(ProvenanceError):
    """The file was not signed, or what was signed did not read back; nothing was left at the target."""


class ReadError(ProvenanceError):
    """The file could not be opened at all. What is wrong inside a file is a finding in the report."""


class FingerprintError(ProvenanceError):
    """Pixels, or stored bytes, that are no fingerprint."""


class RegistryError(ProvenanceError):
    """A record that contradicts one already there."""
