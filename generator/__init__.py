"""Make pictures and clips that are guarded, marked, signed and registered, or raise. Read
`generator/pipeline.py` first.

    system = load_system("assay-tiny")
    safe = SafeGenerator(system=system, guard=guard, ring=ring, detector=detector, signing_key=key,
    trust=trust, ...) released = safe.generate(Request(prompt="a red balloon"), media_id, register=register)
"""

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
from generator.load import System, compile_system, load_system
from generator.mark_media import MediaMarker
from generator.pipeline import Issuer, SafeGenerator
from generator.quality import QualityReport, QualityRules
from generator.references import ReadReference, ReferenceFrames, reader
from generator.release import Register, Released
from generator.request import MediaFormat, MediaKind, Reference, Request
from generator.sign import SignedMedia, UnsignedMedia
from generator.stages import CancelRequested, Progress
from generator.systems import EMBEDDED, SYSTEMS, Seam, SystemSpec, Takes, system_named

__all__ = [
    "EMBEDDED",
    "SYSTEMS",
    "BindingError",
    "CancelRequested",
    "Cancelled",
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
