"""A second hand at disguising names, written apart from `guard.attacks`, which the guard was built against.

Each takes a name and a seeded generator. They draw at random from more characters, other separators, another
keyboard and another alphabet, and put two disguises on top of each other.
"""

import unicodedata
from collections.abc import Callable, Mapping
from random import Random

Variant = Callable[[str, Random], str]
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e\u034f\ufe0f\u2063\u061c"
_SEPARATORS = " -_.*~·/|•,"
_LEET = {
    "a": "4@", "b": "8", "e": "3€", "g": "69", "i": "1!|", "l": "1|", "o": "0", "s": "5$", "t": "7+", "z": "2"
}  # fmt: skip
_ALPHABETS = (
    "MATHEMATICAL ITALIC SMALL {}",
    "MATHEMATICAL SCRIPT SMALL {}",
    "MATHEMATICAL FRAKTUR SMALL {}",
    "MATHEMATICAL SANS-SERIF BOLD SMALL {}",
    "MATHEMATICAL MONOSPACE SMALL {}",
    "CIRCLED LATIN SMALL LETTER {}",
    "FULLWIDTH LATIN SMALL LETTER {}",
    "LATIN SMALL LETTER {} WITH ACUTE",
    "LATIN SMALL LETTER {} WITH DOT BELOW",
    "LATIN LETTER SMALL CAPITAL {}",
    "MODIFIER LETTER SMALL {}",
    "NEGATIVE SQUARED LATIN CAPITAL LETTER {}",
    "PARENTHESIZED LATIN SMALL LETTER {}",
)
_CYRILLIC = {  # as in Russian newspapers
    "sch": "ш", "tch": "ч", "sh": "ш", "ch": "ч", "kh": "х", "ph": "ф", "th": "т", "ck": "к",
    "ce": "се", "ci": "си", "cy": "си", "ee": "и", "oo": "у", "ou": "у", "qu": "кв", "a": "а", "b": "б",
    "c": "к", "d": "д", "e": "е", "f": "ф", "g": "г", "h": "х", "i": "и", "j": "дж", "k": "к", "l": "л",
    "m": "м", "n": "н", "o": "о", "p": "п", "q": "к", "r": "р", "s": "с", "t": "т", "u": "у", "v": "в",
    "w": "у", "x": "кс", "y": "и", "z": "з",
}  # fmt: skip
_GREEK = {
    "ch": "τσ", "sh": "σ", "th": "θ", "ph": "φ", "ck": "κ", "ou": "ου", "ee": "ι", "a": "α", "b": "μπ",
    "c": "κ", "d": "ντ", "e": "ε", "f": "φ", "g": "γκ", "h": "χ", "i": "ι", "j": "τζ", "k": "κ",
    "l": "λ", "m": "μ", "n": "ν", "o": "ο", "p": "π", "q": "κ", "r": "ρ", "s": "σ", "t": "τ", "u": "ου",
    "v": "β", "w": "γου", "x": "ξ", "y": "ι", "z": "ζ",
}  # fmt: skip


def styled(name: str, rng: Random) -> str:
    """Every letter from another alphabet of Unicode."""
    return "".join(_styled(c, rng) for c in name)


def _styled(letter: str, rng: Random) -> str:
    drawn = rng.sample(_ALPHABETS, len(_ALPHABETS)) if letter.isascii() and letter.isalpha() else []
    for pattern in drawn:
        try:
            return unicodedata.lookup(pattern.format(letter.upper()))
        except KeyError:
            continue
    return letter


def invisible(name: str, rng: Random) -> str:
    """One to three invisible characters, of many kinds, in most gaps."""
    return "".join(c + "".join(rng.choices(_INVISIBLE, k=rng.randint(0, 3))) for c in name)


def separated(name: str, rng: Random) -> str:
    """Letters parted by one of many separators."""
    mark = rng.choice(_SEPARATORS)
    return (mark * 2 if mark != " " else "  ").join(mark.join(word) for word in name.split())


def leet(name: str, rng: Random) -> str:
    """Some or all letters as digits and symbols, drawn one by one."""
    share = rng.choice((0.4, 0.7, 1.0))
    return "".join(
        rng.choice(_LEET[c.lower()]) if c.lower() in _LEET and rng.random() < share else c for c in name
    )


def repeated(name: str, rng: Random) -> str:
    """Letters of any kind two to five times."""
    return "".join(c * rng.randint(2, 5) if c.isalpha() and rng.random() < 0.4 else c for c in name)


def typo(name: str, rng: Random) -> str:
    """One letter left out, put in, changed to any other, or swapped with the next."""
    at = rng.choice([i for i, c in enumerate(name) if c.isalpha()])
    kind = rng.randrange(4)
    other = rng.choice([c for c in "abcdefghijklmnopqrstuvwxyz" if c != name[at].lower()])
    if kind == 0:
        return name[:at] + name[at + 1 :]
    if kind == 1:
        return name[:at] + other + name[at:]
    if kind == 2 or not name[at + 1 : at + 2].isalpha() or name[at + 1].lower() == name[at].lower():
        return name[:at] + other + name[at + 1 :]
    return name[:at] + name[at + 1] + name[at] + name[at + 2 :]


def two_typos(name: str, rng: Random) -> str:
    """Two such errors."""
    return typo(typo(name, rng), rng)


def reordered(name: str, rng: Random) -> str:
    """The last name first, written in one of several ways."""
    *first, last = name.split()
    rest = " ".join(first)
    return rng.choice((f"{last} {rest}", f"{last.upper()}, {rest}", f"{last}_{rest}", f"{last}-{rest}"))


def run_together(name: str, rng: Random) -> str:
    """Joined, as a tag or a handle."""
    words = name.split()
    return rng.choice(("#" + "".join(words), "@" + "".join(words).lower(), "-".join(words), ".".join(words)))


def weighted(name: str, rng: Random) -> str:
    """Weights and brackets of prompt dialects."""
    words = name.split()
    return rng.choice((
        "((" + " ".join(words) + "))", "(" + " ".join(words) + f":{rng.uniform(0.5, 2):.2f})",
        " ".join(f"[{w}]" for w in words), " ".join(f"{w}++" for w in words), "{" + "} {".join(words) + "}",
        f"<{' '.join(words)}:{rng.uniform(0.1, 1):.1f}>",
    ))  # fmt: skip


def _spelt(table: Mapping[str, str]) -> Variant:
    def spell(name: str, rng: Random) -> str:
        result, rest = "", name.lower()
        while rest:
            size = next((n for n in (3, 2, 1) if rest[:n] in table), 1)
            result, rest = result + table.get(rest[:size], rest[:size]), rest[size:]
        return result.title()

    return spell


def _both(first: Variant, second: Variant) -> Variant:
    return lambda name, rng: second(first(name, rng), rng)


VARIANTS: Mapping[str, Variant] = {
    "alphabets of Unicode": styled,
    "invisible characters": invisible,
    "separated letters": separated,
    "digits and symbols": leet,
    "any letter repeated": repeated,
    "one error": typo,
    "two errors": two_typos,
    "last name first": reordered,
    "run together": run_together,
    "weights and brackets": weighted,
    "Cyrillic": _spelt(_CYRILLIC),
    "Greek": _spelt(_GREEK),
    "last name first, invisible": _both(reordered, invisible),
    "digits, repeated": _both(repeated, leet),
    "alphabets, separated": _both(separated, styled),
    "one error, invisible": _both(typo, invisible),
    "one error, last name first": _both(typo, reordered),
}
"""Disguises by name."""
