"""`bundle sign` and `bundle verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli import console
from service.cli.policy.common import OK
from service.errors import ConfigurationError


def sign(
    policy: Annotated[Path, typer.Argument(help="The policy file.", metavar="POLICY")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle to write.", metavar="FILE")],
    key: Annotated[Path, typer.Option("--key", help="An Ed25519 private key (PEM).", metavar="FILE")],
) -> int:
    """Sign a policy and its lists as one file. It must load and pass its tests. Exit 2 otherwise."""
    from guard import GuardError
    from guard.bundle import sign_bundle
    from service.cli.keyfiles import private_key

    try:
        signed = sign_bundle(policy, output, private_key(key))
    except (GuardError, ConfigurationError, ValueError, TypeError, OSError) as error:
        console.complain(str(error))
        return console.BAD_INPUT
    print(f"{output}: {signed.label}, digest {signed.digest}")
    return OK


def verify(
    bundle: Annotated[Path, typer.Argument(help="The bundle.", metavar="BUNDLE")],
    issuer: Annotated[Path, typer.Option("--issuer", help="An Ed25519 public key (PEM).", metavar="FILE")],
) -> int:
    """Check that a bundle is whole and signed by an issuer. Exit 0 good, 2 not."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from guard import GuardError
    from guard.bundle import load_bundle

    try:
        public = load_pem_public_key(issuer.read_bytes())
        if not isinstance(public, Ed25519PublicKey):
            raise ValueError(f"{issuer} is not an Ed25519 key")
        loaded = load_bundle(bundle, (public,))
    except (GuardError, ValueError, TypeError, OSError) as error:
        console.complain(str(error))
        return console.BAD_INPUT
    print(f"{bundle}: {loaded.label}, digest {loaded.digest}")
    return OK
