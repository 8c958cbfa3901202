"""Make pictures and clips that are guarded, marked, signed and registered, or raise. Read
`generator/pipeline.py` first.

    system = load_system("assay-tiny")
    safe = SafeGenerator(system=system, guard=guard, ring=ring, detector=detector, signing_key=key,
    trust=trust, ...) released = safe.generate(Request(prompt="a red balloon"), media_id, register=register)

What samples and encodes needs torch and diffusers, which take seconds to load; they are loaded when first
asked for, and never to check a request.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from generator.admit import Hear
from generator.errors import (
    BindingError,
    Cancelled,
    GeneratorError,
    LeakError,
    LoadError,
    MarkingError,
    QualityError,
    RequestError,
    SampleError,
    SelfCheckError,
    StageError,
)
from generator.quality import QualityReport, QualityRules
from generator.references import ReadReference, ReferenceFrames, reader
from generator.request import Codec, MediaFormat, MediaKind, Reference, Request
from generator.stages import CancelRequested, Progress
from generator.systems import EMBEDDED, SYSTEMS, Seam, SystemSpec, Takes, system_named

if TYPE_CHECKING:
    from generator.issuer import Issuer
    from generator.load import System, compile_system, load_system
    from generator.mark_media import MediaMarker
    from generator.pipeline import SafeGenerator
    from generator.release import Register, Released
    from generator.sign import SignedMedia, UnsignedMedia

__all__ = [
    "EMBEDDED",
    "SYSTEMS",
    "BindingError",
    "CancelRequested",
    "Cancelled",
    "Codec",
    "GeneratorError",
    "Hear",
    "Issuer",
    "LeakError",
    "LoadError",
    "MarkingError",
    "MediaFormat",
    "MediaKind",
    "MediaMarker",
    "Progress",
    "QualityError",
    "QualityReport",
    "QualityRules",
    "ReadReference",
    "Reference",
    "ReferenceFrames",
    "Register",
    "Released",
    "Request",
    "RequestError",
    "SafeGenerator",
    "SampleError",
    "Seam",
    "SelfCheckError",
    "SignedMedia",
    "StageError",
    "System",
    "SystemSpec",
    "Takes",
    "UnsignedMedia",
    "compile_system",
    "load_system",
    "reader",
    "system_named",
]

_WITH_TORCH = {
    "Issuer": "generator.issuer",
    "MediaMarker": "generator.mark_media",
    "Register": "generator.release",
    "Released": "generator.release",
    "SafeGenerator": "generator.pipeline",
    "SignedMedia": "generator.sign",
    "System": "generator.load",
    "UnsignedMedia": "generator.sign",
    "compile_system": "generator.load",
    "load_system": "generator.load",
}


def __getattr__(name: str) -> object:
    """Loads what needs torch when it is first asked for (PEP 562)."""
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_WITH_TORCH[name]), name)
    globals()[name] = value
    return value
