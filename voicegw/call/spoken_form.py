"""Written sentences to what a voice is to say, and back from a place in the speech to the place in the text.

"Mã DH123 giá 20.000đ" is sent to TTS as "Mã đê hát một hai ba giá hai mươi nghìn đồng";
the model's history and the transcript keep the written words. So each spoken form knows which part of it
stands for which part of the text: what was heard of the speech can be told as text.

The rules of a language stand in `spoken_vi` and `spoken_en`; a persona's own pronunciations come first.
"""

import functools
import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from voicegw.call import spoken_en, spoken_vi
from voicegw.call.settings import SpeechSettings
from voicegw.call.spoken_numbers import is_vietnamese
from voicegw.call.spoken_rule import Rule

# A sentence with none of these is said as it is written: no digit, no sign, no short form.
_SOMETHING_TO_SAY = re.compile(r"[\d@%&+=#*$€£¥₫°~<>×÷/]|[A-ZĐƯ]{2}|\w\.|\bTp\b|\bCty\b|\bvs\b")

# Where a rule may begin: at a digit, a sign, or a word that is not an ordinary one in small letters. Such
# words are passed over, so that a sentence costs a few microseconds for each of its figures.
_START = re.compile(
    r"\d"
    r"|[-–−&+=×<>/@%#*$€£¥₫~°(]"
    r"|(?<!\w)(?=[A-ZĐ]|[\w.+-]*\w[.@]\w|[a-zđ]+\d|https?:|thứ \d|tháng \d|\w{1,6}[.:]|vs\b)\w"
)


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence as it is said. `changes` are the parts that are not said as written.

    Each change is (start and end in `written`, start and end in `spoken`), in order; between them both texts
    are the same.
    """

    written: str
    spoken: str
    changes: tuple[tuple[int, int, int, int], ...] = ()

    def written_until(self, n_spoken: int) -> int:
        """Return how many characters of `written` have been said when `n_spoken` of `spoken` have.

        A part that is said differently counts once all of its speech has passed.
        """
        index = bisect_right(self.changes, n_spoken, key=lambda change: change[2]) - 1
        if index < 0:
            return min(n_spoken, len(self.written))
        start, end, _, spoken_end = self.changes[index]
        if n_spoken < spoken_end:
            return start
        return min(end + n_spoken - spoken_end, len(self.written))


class SpokenForm:
    """Says sentences of one language. Holds no state: the same text is always said the same."""

    def __init__(
        self, language: str, pronunciations: Mapping[str, str] | None = None, *, rules: bool = True
    ) -> None:
        """`rules`: False leaves figures and signs to the voice, and says only the pronunciations."""
        self._own = _own_rule(pronunciations or {})
        self._rules = _rules(language if rules else "")

    @classmethod
    def of(cls, language: str, speech: SpeechSettings) -> Self:
        """Return the spoken form that a persona has."""
        return cls(language, speech.pronunciations, rules=speech.spoken_form)

    def say(self, text: str) -> Said:
        """Return the spoken form of one sentence without markup (see `plain_text`). Raises nothing."""
        own = self._own
        if _SOMETHING_TO_SAY.search(text) is None and (own is None or own.pattern.search(text) is None):
            return Said(text, text)
        out: list[str] = []
        changes: list[tuple[int, int, int, int]] = []
        done = 0  # of the text
        length = 0  # of the speech
        at = 0
        while (found := self._next(text, at)) is not None:
            start, end, words = found
            at = max(end, start + 1)
            if words is None:
                continue
            before = text[done:start]
            touched = out[-1][-1:] if out and done == start else text[start - 1 : start] if start else ""
            words = _fitted(words, touched, text[end : end + 1])
            out += [before, words]
            length += len(before)
            changes.append((start, end, length, length + len(words)))
            length += len(words)
            done = end
        if not changes:
            return Said(text, text)
        out.append(text[done:])
        return Said(text, "".join(out), tuple(changes))

    def _next(self, text: str, at: int) -> tuple[int, int, str | None] | None:
        """Find the next place of a rule from `at` on: its start and end, and the words if a rule applies."""
        begin = _START.search(text, at)
        own = self._own.pattern.search(text, at) if self._own else None
        if own is not None and self._own is not None and (begin is None or own.start() <= begin.start()):
            return own.start(), own.end(), self._own.say(own)
        if begin is None:
            return None
        start = begin.start()
        char = text[begin.end() - 1]
        kind = "d" if char.isdecimal() else "w" if char.isalpha() else "s"
        for rule in self._rules[kind]:
            match = rule.pattern.match(text, start)
            if match is not None and match.end() > start and (words := rule.say(match)) is not None:
                return start, match.end(), words
        return start, begin.end(), None


@functools.lru_cache(maxsize=16)
def _rules(language: str) -> dict[str, list[Rule]]:
    """Return the rules of a language by where they may begin; a language without any has no figures said."""
    rules: list[Rule] = []
    if is_vietnamese(language):
        rules = spoken_vi.rules(language)
    elif language[:2].lower() == "en":
        rules = spoken_en.rules(language)
    return {kind: [rule for rule in rules if kind in rule.starts] for kind in "dws"}


def _fitted(words: str, before: str, behind: str) -> str:
    """Keep one space between the words and what stands on both sides of them, and none twice.

    `before` and `behind` are the characters there, "" at an end of the sentence.
    """
    if not before or before.isspace():
        words = words.lstrip()
    if not behind or behind.isspace():
        words = words.rstrip()
    if before.isalnum() and words[:1].isalnum():
        words = " " + words
    if behind.isalnum() and words[-1:].isalnum():
        words += " "
    return words


def _own_rule(pronunciations: Mapping[str, str]) -> Rule | None:
    """Whole words of the persona's table; one written in small letters stands for capitals too."""
    if not pronunciations:
        return None
    longest_first = sorted(pronunciations, key=len, reverse=True)
    parts = [
        (re.escape(word) if word != word.lower() else f"(?i:{re.escape(word)})") for word in longest_first
    ]
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)")
    lower = {word.lower(): said for word, said in pronunciations.items()}

    def say(match: "re.Match[str]") -> str:
        return pronunciations.get(match[0]) or lower[match[0].lower()]

    return Rule("wds", pattern, say)
