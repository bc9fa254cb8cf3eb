"""Prepare text for the speech engine: sentences, and ids that must be read character by character."""

import re
import unicodedata
from collections.abc import Iterator

# Longest text given to the engine at once, about 25 s of speech.
_MAX_SENTENCE = 400
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")
# Four or more characters of capitals and digits, with both kinds: DH123456, SUMMER2025, AB12.
_ID = re.compile(r"\b(?=[A-Z]*\d)(?=\d*[A-Z])[A-Z0-9]{4,}\b")
_READABLE_PREFIX = re.compile(r"([A-Z]{4,})(\d{1,4})")
# Decomposed: what only Vietnamese has (horn, hook above, dot below, breve; the letter đ), and the accents
# that English borrows with French words.
_ONLY_VIETNAMESE = re.compile("[đĐ\u031b\u0309\u0323\u0306]")
_ACCENT = re.compile("[\u0300\u0301\u0302\u0303]")


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text; a very long one is cut at spaces. No empty ones."""
    for sentence in _SENTENCE_END.split(text):
        rest = sentence.strip()
        while len(rest) > _MAX_SENTENCE:
            cut = rest.rfind(" ", 1, _MAX_SENTENCE)
            cut = cut if cut > 0 else _MAX_SENTENCE
            yield rest[:cut]
            rest = rest[cut:].strip()
        if rest:
            yield rest


def spoken(text: str) -> str:
    """Return text as the engine should get it: ids spelled, control characters gone.

    >>> spoken("Order DH123456, code SUMMER2025.")
    'Order D H 1 2 3 4 5 6, code summer 2025.'
    """
    # A NUL would end the text early.
    text = "".join(c if c.isprintable() else " " for c in text)
    return _ID.sub(lambda match: _spell(match[0]), text)


def _spell(name: str) -> str:
    if word := _READABLE_PREFIX.fullmatch(name):
        return f"{word[1].lower()} {word[2]}"
    return " ".join(name)


def is_vietnamese(text: str) -> bool:
    """Tell Vietnamese from English by its letters; without any diacritics it is not told.

    One letter that only Vietnamese has settles it, or two of the accents that it shares with French words
    in English ("café").
    """
    letters = unicodedata.normalize("NFD", text)
    return _ONLY_VIETNAMESE.search(letters) is not None or len(_ACCENT.findall(letters)) >= 2
