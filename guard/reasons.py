"""The registry of reason codes: stable, append-only words for what a policy refuses and why.

A code says what kind of content it is about, never which rule or list saw it. `hint` says whether the user
may be shown where in the prompt the problem lies: never for reasons where that would help to probe the
rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

CUSTOM_REASON = r"CUSTOM\.[A-Z0-9_]+(\.[A-Z0-9_]+)*"


@dataclass(frozen=True, slots=True)
class Reason:
    """One code with its meaning, the default text for users (English), and what a refusal may reveal."""

    code: str
    meaning: str
    user_text: str
    hint: bool
    dsa_category: str  # statement categories of the DSA Transparency Database


_ROWS = (
    Reason("PERSON.PUBLIC_FIGURE", "a realistic scene with a real, named public figure",
           "We do not make media of real public figures.", True, "SCAMS_AND_FRAUD"),
    Reason("PERSON.PUBLIC_FIGURE.REALISTIC", "a public figure in what claims to be a real event",
           "We do not make realistic media of real public figures.", True, "SCAMS_AND_FRAUD"),
    Reason("PERSON.PROTECTED", "a person who asked not to be depicted",
           "We cannot make media of this person.", False, "DATA_PROTECTION_AND_PRIVACY_VIOLATIONS"),
    Reason("PERSON.NO_CONSENT", "a reference picture with a face and no valid consent",
           "A reference picture with a person in it needs that person's recorded consent.", False,
           "DATA_PROTECTION_AND_PRIVACY_VIOLATIONS"),
    Reason("CHILD.SEXUAL", "sexual content with minors",
           "This request was refused.", False, "PROTECTION_OF_MINORS"),
    Reason("SEXUAL.EXPLICIT", "explicit sexual content",
           "We do not make sexually explicit media.", True, "PORNOGRAPHY_OR_SEXUALIZED_CONTENT"),
    Reason("SEXUAL.NON_CONSENSUAL", "undressing or sexualising a person without consent",
           "We do not make intimate media of people without their consent.", False,
           "NON_CONSENSUAL_BEHAVIOUR"),
    Reason("VIOLENCE.GRAPHIC", "gore and torture",
           "We do not make graphically violent media.", True, "VIOLENCE"),
    Reason("VIOLENCE.EXTREMISM", "praise of terrorist or extremist groups",
           "We do not make media that praises violent extremism.", False, "RISK_FOR_PUBLIC_SECURITY"),
    Reason("VIOLENCE.WEAPONS", "instructions for making weapons",
           "We do not make instructions for weapons.", False, "RISK_FOR_PUBLIC_SECURITY"),
    Reason("SELF_HARM", "depiction or encouragement of self-harm",
           "We do not make media that shows self-harm. If you are struggling, please talk to someone you "
           "trust or to a local crisis line.", True, "SELF_HARM"),
    Reason("HATE.SYMBOL", "symbols and slogans of hate",
           "We do not make hateful media.", True, "ILLEGAL_OR_HARMFUL_SPEECH"),
    Reason("ELECTION.DECEPTION", "false voting information and fabricated election events",
           "We do not make media that could mislead voters.", True,
           "NEGATIVE_EFFECTS_ON_CIVIC_DISCOURSE_OR_ELECTIONS"),
    Reason("IP.CHARACTER", "a protected character or brand",
           "We cannot make media of this character or brand.", True, "INTELLECTUAL_PROPERTY_INFRINGEMENTS"),
    Reason("IP.BRAND", "a brand, a product or a logo",
           "We cannot make media with brands or logos.", True, "INTELLECTUAL_PROPERTY_INFRINGEMENTS"),
    Reason("IP.STYLE", "the style of a named artist",
           "We do not imitate the style of artists by name.", True, "INTELLECTUAL_PROPERTY_INFRINGEMENTS"),
    Reason("ADAPTER.UNTRUSTED", "an adapter file that is not known or not safe",
           "This adapter cannot be used.", True, "SCOPE_OF_PLATFORM_SERVICE"),
    Reason("GUARD.CHECK_FAILED", "a check could not run",
           "The request could not be checked. Please try again later.", True, "SCOPE_OF_PLATFORM_SERVICE"),
    Reason("GUARD.NO_RULES", "the policy has no rule for this stage and does not leave it unchecked",
           "The request could not be checked.", True, "SCOPE_OF_PLATFORM_SERVICE"),
    Reason("GUARD.NOTHING_TO_CHECK", "the request has nothing that this stage could check",
           "The request is empty.", True, "SCOPE_OF_PLATFORM_SERVICE"),
    Reason("GUARD.TOO_LONG", "a text longer than the guard checks",
           "The text is too long.", True, "SCOPE_OF_PLATFORM_SERVICE"),
)  # fmt: skip

REASONS: Mapping[str, Reason] = {reason.code: reason for reason in _ROWS}


def is_reason(code: str) -> bool:
    """True for a registered code and for an operator's own (`CUSTOM.` and capitals)."""
    return code in REASONS or re.fullmatch(CUSTOM_REASON, code) is not None


def reason_of(code: str) -> Reason:
    """Returns the registered reason, or a plain one for an operator's own code."""
    return REASONS.get(code) or Reason(
        code, code, "This request was refused.", False, "SCOPE_OF_PLATFORM_SERVICE"
    )
