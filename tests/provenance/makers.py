"""Makers of test material: files, certificates with one flaw each, evidence."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from numpy.typing import NDArray
from PIL import Image

from watermark import Band, Detection, Geometry, Maps, MediaId
from watermark.geometry import aligned

Frame = NDArray[np.uint8]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/avif": "AVIF"}


def write(folder: Path, frame: Frame, mime: str, name: str = "photo") -> Path:
    path = folder / f"{name}.{mime.partition('/')[2]}"
    Image.fromarray(frame).save(path, _FORMATS[mime])
    return path


def encoded(frame: Frame, mime: str, **options: int) -> bytes:
    target = io.BytesIO()
    Image.fromarray(frame).save(target, _FORMATS[mime], **options)
    return target.getvalue()


@dataclass(frozen=True)
class FakeDetector:
    """Reads the frames, as a detector does, and answers what it was told to."""

    answer: Detection

    def detect(self, frames: Iterable[Frame]) -> Detection:
        return replace(self.answer, frames_read=sum(1 for _ in frames))

    def detect_in(self, maps: Maps) -> Detection:
        return replace(self.answer, frames_read=maps.frames)


def found(media_id: MediaId, height: int, width: int) -> Detection:
    geometry = Geometry.of(aligned(height, width))
    return Detection(True, Band.DETECTED, media_id, "0.3", -42.0, 1, geometry)


def not_found(band: Band = Band.NONE) -> Detection:
    return Detection(False, band, None, None, -4.0 if band is Band.INCONCLUSIVE else 0.0, 1, None)


@dataclass(frozen=True)
class Leaf:
    """A signing certificate as the profile wants it; each test spoils one thing with `replace`."""

    key: PrivateKey
    start: timedelta = timedelta(days=-1)
    end: timedelta = timedelta(days=60)
    usages: tuple[ObjectIdentifier, ...] | None = (
        ObjectIdentifier("1.3.6.1.4.1.62558.2.1"),
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
    )
    digital_signature: bool = True
    cert_sign: bool = False
    key_usage: bool = True
    aki: bool = True
    ca: bool = False
    organisation: str | None = "Example"
    self_signed: bool = False
    eku_critical: bool = False

    def chain(self, now: datetime) -> bytes:
        """PEM, leaf first, with a fresh root behind it."""
        root_key = ec.generate_private_key(ec.SECP256R1())
        root = _root(root_key, now)
        leaf = self._certificate(root, self.key if self.self_signed else root_key, now)
        return leaf.public_bytes(Encoding.PEM) + (
            b"" if self.self_signed else root.public_bytes(Encoding.PEM)
        )

    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def _certificate(self, root: x509.Certificate, issuer_key: PrivateKey, now: datetime) -> x509.Certificate:
        subject = _name("leaf", self.organisation)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if self.self_signed else root.subject)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + self.start)
            .not_valid_after(now + self.end)
            .public_key(self.key.public_key())
            .add_extension(x509.BasicConstraints(self.ca, None), critical=True)
        )
        if self.key_usage:
            builder = builder.add_extension(usage(self.digital_signature, self.cert_sign), critical=True)
        if self.usages is not None:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage(list(self.usages)), critical=self.eku_critical
            )
        if self.aki:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
            builder = builder.add_extension(identifier, critical=False)
        return builder.sign(
            issuer_key, None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        )


def _root(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = _name("root", "Example")
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=1000))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(True, 0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def issue(request: x509.CertificateSigningRequest, now: datetime, *, days: int = 60) -> bytes:
    """What an authority answers a request with: PEM, leaf first, a fresh root behind it."""
    root_key = ec.generate_private_key(ec.SECP256R1())
    root = _root(root_key, now)
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(root.subject)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .public_key(request.public_key())
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
        )
    )
    for extension in request.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    leaf = builder.sign(root_key, hashes.SHA256())
    return leaf.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM)


def usage(digital_signature: bool, cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(digital_signature, False, False, False, False, cert_sign, False, False, False)


def _name(common_name: str, organisation: str | None) -> x509.Name:
    owner = [] if organisation is None else [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)]
    return x509.Name([*owner, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def utc(day: int) -> datetime:
    return datetime(2026, 1, day, tzinfo=UTC)
