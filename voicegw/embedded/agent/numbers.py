"""Digits in what a caller said, in English and Vietnamese, spoken, typed or misheard.

Works on folded words: small letters without diacritics ("tám" is "tam"). Digit words that are also other
words ("for", "oh") count only beside surer ones.
"""

import re
import unicodedata
from dataclasses import dataclass

ORDER_DIGITS = 6


def numbered(words: str, start: int = 0) -> dict[str, int]:
    """Return the words of a text with their numbers, counted from `start`."""
    return {word: number for number, word in enumerate(words.split(), start)}


_ENGLISH = numbered(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_VIETNAMESE = numbered("mot hai ba bon nam sau bay tam chin", 1) | {"lam": 5, "nham": 5}
_SURE = {word: str(n) for word, n in {**_ENGLISH, **_VIETNAMESE, "niner": 9, "fife": 5}.items()}
# Heard for a digit, but usually another word.
_UNSURE = {
    "oh": "0",
    "o": "0",
    "won": "1",
    "want": "1",
    "to": "2",
    "too": "2",
    "tree": "3",
    "for": "4",
    "fore": "4",
    "sex": "6",
    "sick": "6",
    "ate": "8",
    "nine's": "9",
    "tu": "4",
    "khong": "0",  # zero, but alone "no"
}
_TENS = numbered("twenty thirty forty fifty sixty seventy eighty ninety", 2)
_TIMES = {"double": 2, "triple": 3, "treble": 3}
# Inside a number these only join its parts; at its end they stand for zeros.
_MAGNITUDES = {"hundred": "00", "thousand": "000", "tram": "00", "nghin": "000", "ngan": "000"}
_JOINING = frozenset(["and", "then", "uh", "um", "er", "a", "linh", "le", "roi", "va"])
# After these a number is an amount, not an id.
_AMOUNTS = frozenset(["million", "trieu", "percent", "phan", "dong", "k", "tr"])


def fold(text: str) -> str:
    """Return `text` in small letters without diacritics, words separated by one space.

    >>> fold("Đơn hàng DH-123456 của em?")
    'don hang dh 123456 cua em'
    """
    plain = unicodedata.normalize("NFD", text.lower().replace("đ", "d").replace("’", "'"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(re.findall(r"[a-z']+|\d+", plain))


@dataclass(frozen=True)
class SpokenDigits:
    """Digits found in one utterance, in order; `prefixed` if "DH" stood before them."""

    digits: str
    prefixed: bool


def spoken_digits(folded: str, *, expected: bool) -> SpokenDigits:
    """Return the digits in a folded utterance.

    With `expected` (the agent has just asked for a number) two digits together are enough, or one that is
    all that was said; else it takes three that stand together, so that "a laptop for one person" has none.
    """
    words = _without_amounts(re.sub(r"\b(d h|d age|dh|de h|d ace|the h)\b", "dh", folded).split())
    others = 0
    runs = [_Run()]
    for word in words:
        if not runs[-1].take(word):
            others += word not in ("dh", "please", "a")
            runs.append(_Run())
            runs[-1].take(word)
    least = 3 if not expected else 2 if others else 1
    found = "".join(run.digits() for run in runs if run.sure >= least)
    if len(found) == ORDER_DIGITS + 1 and found[0] == "8" and re.search(r"\b(the|d|de) (eight|8)", folded):
        found = found[1:]  # the H of "D H" sounds like an eight
    return SpokenDigits(found, bool(found) and "dh" in words)


def _without_amounts(words: list[str]) -> list[str]:
    """Take out "20 million", "hai muoi trieu", "fifteen percent" and the digits of "summer 2025"."""
    kept: list[str] = []
    for word in words:
        if word in _AMOUNTS:
            while kept and (kept[-1] in _SURE or kept[-1].isdigit() or kept[-1] in ("muoi", "point", *_TENS)):
                kept.pop()
        elif kept and kept[-1] == "summer" and (word.isdigit() or word in _TENS or word in _SURE):
            continue
        else:
            kept.append(word)
    return kept


class _Run:
    """Neighbouring number words, read into digits."""

    def __init__(self) -> None:
        self.sure = 0
        self._parts: list[tuple[str, bool]] = []  # digits, and whether they are sure
        self._pending = ""  # zeros of a ten or magnitude, used if no more digits follow
        self._times = 1

    def take(self, word: str) -> bool:
        """Add a word; return False, unchanged, when it does not belong to a number."""
        if word.isdigit():
            self._add(word, sure=True)
        elif word in _SURE:
            self._add(_SURE[word], sure=True)
        elif word in _UNSURE:
            self._add(_UNSURE[word], sure=False)
        elif word in _TENS:
            self._flush_ten()
            self._add(str(_TENS[word]), sure=True)
            self._pending = "0"
        elif word == "muoi":  # ten, or "times ten" after a digit
            if not self._parts or self._pending:
                self._flush_ten()
                self._add("1", sure=True)
            self._pending = "0"
        elif word in _MAGNITUDES and self._parts:
            self._pending = _MAGNITUDES[word]
        elif word in _TIMES:
            self._times = _TIMES[word]
        else:
            return word in _JOINING and bool(self._parts)
        return True

    def _add(self, digits: str, *, sure: bool) -> None:
        if len(digits) > 1:
            self._flush_ten()
        self._pending = ""
        self._parts.append((digits * self._times, sure))
        self.sure += len(digits) * self._times if sure else 0
        self._times = 1

    def _flush_ten(self) -> None:
        """Keep the zero of a ten that no unit follows: "twenty thirty" is 2030."""
        if self._pending == "0":
            self._parts.append(("0", True))

    def digits(self) -> str:
        """Return all digits; unsure ones at the edges go when there are more than an order has."""
        parts = [*self._parts, (self._pending, True)]
        while len(parts) > 1 and sum(len(d) for d, _ in parts) > ORDER_DIGITS and not parts[0][1]:
            parts.pop(0)
        return "".join(d for d, _ in parts)
