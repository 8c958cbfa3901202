"""The grammar of a policy file: which keys there are, what each may hold, and one sentence about each.

The sentences end up in the JSON Schema, where an editor shows them while a policy is written.
"""

from guard.language.lists import LIST_KINDS, ListDraft
from guard.language.overrides import ListOverride, Override, RuleOverride
from guard.language.policy import POLICY, Base, PolicyDraft, policy_json_schema
from guard.language.words import MAX_ITEM_CHARACTERS

__all__ = [
    "LIST_KINDS",
    "MAX_ITEM_CHARACTERS",
    "POLICY",
    "Base",
    "ListDraft",
    "ListOverride",
    "Override",
    "PolicyDraft",
    "RuleOverride",
    "policy_json_schema",
]
