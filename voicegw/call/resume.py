"""Going on with a reply whose stream broke: the model is asked again, with what was spoken as its beginning.

    resume = Resume(spoken)          # the sentences that were sent to TTS, as one text
    resume.new(sentence)             # what of the second answer's next sentence was not spoken yet

Models do one of three things, and the caller hears:

* it goes on: one answer, whole;
* it starts again, with the same words: one answer, whole; what was spoken is left out of the second;
* it starts again in other words: what was spoken, and of the second answer what does not say the same again.
  A sentence that shares most of its words with a spoken one is left out; one that shares fewer is said,
  and the caller hears that thought twice. Nothing is ever left unsaid.

Pure. A torn last sentence was never sent to TTS and is not missed: the second answer brings it.
"""

import re
from difflib import SequenceMatcher

_WORD = re.compile(r"\w+")
# Two sentences say the same when this share of their words is common, in order: measured on reworded
# answers in both languages, where it lies at 0.6 to 0.8, and at most 0.4 between different sentences.
ALIKE = 0.55
# A shorter sentence has too few words to be told by its likeness: only the same words count.
FEW_WORDS = 3


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


class Resume:
    """Compares a second answer, sentence by sentence, with what was spoken of the first."""

    def __init__(self, spoken: list[str]) -> None:
        self._sentences = [_words(sentence) for sentence in spoken]
        self._words = [word for sentence in self._sentences for word in sentence]
        self._at = 0  # how many spoken words the second answer has repeated
        self._over = not self._words

    def new(self, sentence: str) -> str:
        """Return what of the second answer's next sentence is to be said; "" for nothing."""
        if self._over:
            return sentence
        words = _words(sentence)
        if not words:
            return ""
        ahead = self._words[self._at :]
        common = _common(words, ahead)
        if common == len(words):
            # The same words again, and no more.
            self._at += common
            self._over = self._at == len(self._words)
            return ""
        if common and common == len(ahead):
            # Up to the place where it broke, and beyond.
            self._over = True
            return _behind(sentence, common)
        if self._says_again(words):
            return ""
        # The end of what was spoken, repeated to take a run-up: "… this morning" "this morning, and …".
        run_up = self._run_up(words)
        self._over = True
        return _behind(sentence, run_up) if run_up else sentence

    def _says_again(self, words: list[str]) -> bool:
        if len(words) <= FEW_WORDS:
            return False
        return any(
            len(spoken) > FEW_WORDS and SequenceMatcher(None, spoken, words, autojunk=False).ratio() >= ALIKE
            for spoken in self._sentences
        )

    def _run_up(self, words: list[str]) -> int:
        most = min(len(words), len(self._words))
        # One word may well begin both by chance ("the").
        return next((n for n in range(most, 1, -1) if self._words[-n:] == words[:n]), 0)


def _common(left: list[str], right: list[str]) -> int:
    """Return how many words both begin with."""
    n = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        n += 1
    return n


def _behind(sentence: str, words: int) -> str:
    """Return a sentence behind its first `words` words, and behind the sign that follows them."""
    matches = list(_WORD.finditer(sentence))
    rest = sentence[matches[words].start() :] if words < len(matches) else ""
    return rest.strip()
