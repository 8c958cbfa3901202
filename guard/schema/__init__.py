"""Building blocks of the policy language: each reads a node with positions and exports its JSON Schema.

One object does both, so the schema that an editor uses cannot differ from what the loader accepts, except
where JSON Schema has no words for it (references between parts of a file, calendar dates).
"""

from guard.schema.base import (
    FAILED,
    Failed,
    JsonSchema,
    Report,
    Spec,
    suggest,
)
from guard.schema.scalars import (
    MAX_TEXT_CHARACTERS,
    Parsed,
    Reference,
    Registered,
    Text,
    Whole,
    Word,
    day,
)
from guard.schema.structures import (
    Choice,
    Either,
    Key,
    ListOf,
    MapOf,
    Record,
    Shared,
)

__all__ = [
    "FAILED",
    "MAX_TEXT_CHARACTERS",
    "Choice",
    "Either",
    "Failed",
    "JsonSchema",
    "Key",
    "ListOf",
    "MapOf",
    "Parsed",
    "Record",
    "Reference",
    "Registered",
    "Report",
    "Shared",
    "Spec",
    "Text",
    "Whole",
    "Word",
    "day",
    "suggest",
]
