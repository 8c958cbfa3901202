"""Whether a name in a text is there for its style ("in the style of Rembrandt") or to be seen.

Read from the words around the name, with RE2 so that no text takes long. A name that is a subject in one
place and a style in another is both; where nothing speaks for style, it is a subject.
"""

from __future__ import annotations

from collections.abc import Iterator

import re2

WINDOW = 160  # characters looked at on either side of a name
MAX_NAMES = 12  # of a list such as "by X, Y and Z"
MAX_NAME_WORDS = 5  # of one name in such a list
_SEPARATOR = re2.compile(r"(?i)(?:,|\band|&|\+|/)\s*(?:and )?(?:by )?$")
_ADJECTIVES = r"(?:the )?(?:(?:great|late|artists?|painter|master|legendary|famous|photographer) )*"
_STYLE_NOUNS = (
    "styles?|manner|vein|spirit|aesthetics?|techniques?|fashion|tradition|school|brushwork|brush|palette"
    "|works?|paintings?|drawings?|artworks?|masterpieces?|oeuvre|art|genre|mood|vibe"
)
_MADE = (
    "inspired|influenced|painted|drawn|illustrated|designed|rendered|imagined|envisioned|depicted|captured"
    "|composed|sketched|etched|engraved|sculpted|photographed|shot|directed|animated|colou?red|styled"
)
_BORROWS = re2.compile(
    rf"(?i)(?:\b(?:{_STYLE_NOUNS}) (?:of|by|from|à la|a la|after|like)|\b(?:{_MADE}) (?:by|from|after)"
    r"|\b(?:reminiscent|evocative|suggestive|worthy) of|\b(?:homage|tribute|ode|nod) to|(?:\bà|\ba) la"
    r"|\b(?:evokes|evoking|channels|channel+ing|emulates|emulating|imitates|imitating|mimics|mimicking)"
    rf"|\bstyle ?:) ?{_ADJECTIVES}$"
)
# "by NAME" alone is authorship, unless somebody does something or is somewhere ("held by", "sitting by").
_BY = re2.compile(rf"(?i)(?:^|[\s,.;:(])by {_ADJECTIVES}$")
_DONE_BY = re2.compile(
    r"(?i)\b(?:\pL+ing|speech|visit|performance|concert|show|appearance|rally|walks?|attack|interview"
    r"|announcement|dance|conference|held|given|led|hugged|kissed|chased|followed|attended|hosted"
    r"|accompanied|surrounded|signed|worn|driven|stands?|sits?|stood|sat|stolen|eaten|punched|arrested"
    rf"|attacked) by {_ADJECTIVES}$"
)
_MADE_BY = re2.compile(
    r"(?i)\b(?:painting|drawing|etching|engraving|rendering|lighting|building) by "
    rf"{_ADJECTIVES}$"
)
_AFTER = re2.compile(
    r"(?i)^(?:(?:['’]s?)?[\s-]+(?:[\pL\pN]+[\s-]+){0,3}(?:styles?|styled|manner|techniques?|aesthetics?"
    r"|brushwork|palette|brushstrokes?|chiaroscuro|tenebrism|[\pL]{3,}ism|period|vision|genre)\b"
    r"|['’]s?\s(?:[\pL\pN]+\s){0,3}(?:art|paintings?|prints?|works?|canvas|masterpieces?|drawings?)\b"
    r"|-? ?inspired\b|-?esque\b|-like\b"
    r"|\s(?:paintings?|artwork|illustration|lithograph|woodcut)(?:$|\s*[,.;)]|\sof\b))"
)


def is_style(text: str, start: int, end: int) -> bool:
    """True where the words around `text[start:end]` borrow the style of the one named there."""
    before = _plain(text[max(0, start - WINDOW) : start])
    if _AFTER.search(_plain(text[end : end + WINDOW])):
        return True
    return any(map(_borrows, _openings(before)))


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # RE2 reads UTF-8, which has no lone surrogates


def _borrows(before: str) -> bool:
    if _BORROWS.search(before):
        return True
    return bool(_BY.search(before)) and (bool(_MADE_BY.search(before)) or not _DONE_BY.search(before))


def _openings(before: str) -> Iterator[str]:
    """Yields what stands before a name, and before each other name of the list that it ends."""
    yield " ".join(before.split()) + " "
    for _ in range(MAX_NAMES):
        separator = _SEPARATOR.search(before)
        if not separator:
            return
        words = before[: separator.start()].split()
        for count in range(1, min(MAX_NAME_WORDS, len(words)) + 1):
            yield " ".join(words[:-count]) + " "
        previous = max(before.rfind(mark, 0, separator.start()) for mark in (",", " and ", "&", "+", "/"))
        if previous < 0:
            return
        before = before[: previous + (5 if before.startswith(" and ", previous) else 1)]
