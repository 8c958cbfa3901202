"""What a policy asks for: the kinds of its conditions and the lists that they name, found once per policy."""

from __future__ import annotations

from guard.hashes import HashIndex, KnownPictures
from guard.loader import conditions_of
from guard.model import Certainty, EntryList, Mentions, Mode, Policy, Rule, TextCondition, leaves, list_of


def asked(policy: Policy) -> frozenset[type]:
    """Returns the kinds of conditions of the rules that are not off."""
    active = (rule for rule in policy.rules if rule.mode is not Mode.OFF)
    return frozenset(
        type(leaf) for rule in active for part in (rule.when, *rule.unless) for leaf in leaves(part)
    )


def used_lists(policy: Policy, *kinds: str) -> list[EntryList]:
    """Returns the lists of some kinds that rules which are not off look for."""
    active = [rule for rule in policy.rules if rule.mode is not Mode.OFF]
    names = {list_of(condition) for condition in conditions_of(active)}
    return [policy.lists[name] for name in sorted(names) if policy.lists[name].kind in kinds]


def only_lists(rule: Rule) -> frozenset[str] | None:
    """Returns the lists that a rule looks for, or None where it also looks at something else."""
    found = list(leaves(rule.when))
    if not all(isinstance(leaf, TextCondition) for leaf in found):
        return None
    return frozenset(list_of(leaf) for leaf in found if isinstance(leaf, TextCondition))


def guessed_lists(policy: Policy) -> list[EntryList]:
    """Returns the lists of people of which some rule takes guesses."""
    active = [rule for rule in policy.rules if rule.mode is not Mode.OFF]
    names = {
        leaf.mentions
        for leaf in conditions_of(active)
        if isinstance(leaf, Mentions) and leaf.certainty is Certainty.POSSIBLE
    }
    return [policy.lists[name] for name in sorted(names)]


def lists_by_role(policy: Policy) -> frozenset[str]:
    """Returns the lists of which some rule asks what the names are there for."""
    return frozenset(
        leaf.mentions for leaf in conditions_of(policy.rules) if isinstance(leaf, Mentions) and leaf.role
    )


def digest_lists(policy: Policy) -> dict[str, frozenset[str]]:
    """Returns the digests of each list of adapters."""
    return {
        entries.name: frozenset(entry.names[0] for entry in entries.entries)
        for entries in policy.lists.values()
        if entries.kind == "digests"
    }


def hash_lists(policy: Policy) -> dict[str, KnownPictures]:
    """Returns an index of each list of known pictures."""
    return {
        entries.name: HashIndex(entry.names[0] for entry in entries.entries)
        for entries in policy.lists.values()
        if entries.kind == "hashes"
    }
