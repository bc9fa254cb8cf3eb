"""Words compared: what was understood with what was said, what was heard with what was synthesised."""

import re
import unicodedata
from collections.abc import Sequence

import jiwer

# A word, of any script: letters and digits with what joins them.
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words(text: str) -> list[str]:
    """Return the words of a text as they are compared: composed letters, no case, no punctuation."""
    return _WORD.findall(unicodedata.normalize("NFC", text).lower().replace("’", "'"))


def word_error_rate(said: Sequence[str], understood: Sequence[str]) -> float | None:
    """Return the word error rate of a call's turns, as one text; None where nothing was said."""
    reference = " ".join(word for text in said for word in words(text))
    if not reference:
        return None
    hypothesis = " ".join(word for text in understood for word in words(text))
    return round(float(jiwer.wer(reference, hypothesis)), 4)


def unheard(synthesised: Sequence[str], heard: str) -> int:
    """Return how many words were made into speech and not heard."""
    made = sum(len(words(text)) for text in synthesised)
    return max(0, made - len(words(heard)))


def contains(text: str, wanted: str) -> bool:
    """Whether the words of `wanted` stand in `text` one after another."""
    return f" {' '.join(words(wanted))} " in f" {' '.join(words(text))} "


def alike(left: str, right: str) -> float:
    """Return how alike two texts are by their words: 1 for the same, 0 for nothing in common."""
    ours, theirs = words(left), words(right)
    if not ours or not theirs:
        return 1.0 if ours == theirs else 0.0
    return round(max(0.0, 1.0 - float(jiwer.wer(" ".join(ours), " ".join(theirs)))), 4)
