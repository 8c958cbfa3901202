"""The grammar of a policy file: which keys there are, what each may hold, and one sentence about each.

The sentences end up in the JSON Schema, where an editor shows them while a policy is written.
"""

from guard.language.policy import POLICY, ListDraft, PolicyDraft, policy_json_schema
from guard.language.words import MAX_ITEM_CHARACTERS

__all__ = ["MAX_ITEM_CHARACTERS", "POLICY", "ListDraft", "PolicyDraft", "policy_json_schema"]
