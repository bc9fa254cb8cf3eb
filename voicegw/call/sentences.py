"""The model's tokens to speakable sentences, each as soon as it is certain to be complete.

Two automata in a row, both fed one character at a time, so that the pieces depend on the text alone and
never on how the model cut it into tokens: `PlainText` takes markup and emoji out, `SentenceChunker` finds
the ends. Text that is passed is not looked at again, but for the few words behind a cut.

A full stop is judged when the character behind it is known, and where that is not enough (abbreviations,
closing quotes, ellipses) when the next word begins, or ends. Nothing here knows how a number is spoken.
"""

import unicodedata
from enum import IntEnum
from typing import Final

from voicegw.call.abbreviations import STREETS, sentence_words
from voicegw.call.char_kinds import CharKinds
from voicegw.call.plain_text import UNSPACE, PlainText

# The first piece may end at a clause mark from this many words on: about a second of speech, which covers
# the synthesis of the next piece.
FIRST_CLAUSE_WORDS = 5
# Without any mark the first piece is cut once it has this many words, so that speech starts early: before a
# last word like "and" or "để", else at the last border that tears no number or name; never with fewer words
# than the second figure.
FIRST_WORDS = 14
FIRST_LEAST_WORDS = 8
# A later piece with fewer words is spoken together with the next sentence: the second one soon, so that the
# voice does not stop behind the first, later ones in larger parts, which sound better and cost less. A line
# of its own needs no more than the first of these.
LEAST_WORDS = (3, 4, 6, 8)
# 30 s of speech at 15 letters a second, less a margin. Digits and East Asian characters take longer to say.
MAX_WEIGHT = 400


# Kinds of characters. Plain numbers, because reading a member of an enum costs more than all else that is
# done for a letter.
_LETTER: Final = 0
_MARK: Final = 1  # a combining accent: part of a word, none by itself
_DIGIT: Final = 2
_IDEOGRAPH: Final = 3  # Chinese characters and kana: words without spaces between them
_ENDER: Final = 4
_CLOSER: Final = 5
_OTHER: Final = 6
_SPACE: Final = 7
_NEWLINE: Final = 8
_UNSPACE: Final = 9

# What one character adds to a piece's weight: a digit is a word or two once it is said ("7" is "seven", in
# "700" it is "seven hundred"), a Chinese character a syllable.
_WEIGHT = {_DIGIT: 9, _IDEOGRAPH: 3}

_FULL_STOPS = ".…"
_SURE_ENDERS = "。！？｡"  # no space follows them
_STRONG_ENDERS = "!?‼⁇⁈⁉؟।" + _SURE_ENDERS
_CLOSERS = "\"'”’»)]}」』）】》"
_OPENERS = "\"'“‘«([{「『（【《"
_QUOTES = "\"'“”‘’«»「『"
_CLAUSE_MARKS = ",;:،؛"
_JOINED_CLAUSE_MARKS = "，、；：—"  # no space need follow these
_DASHES = "-–—"


def _kind_of(char: str) -> int:
    if char in _FULL_STOPS or char in _STRONG_ENDERS:
        return _ENDER
    if char in _CLOSERS:
        return _CLOSER
    fixed = {"\n": _NEWLINE, UNSPACE: _UNSPACE}.get(char)
    if fixed is not None:
        return fixed
    if char.isspace():
        return _SPACE
    if char.isalpha():
        wide = "\u3040" <= char <= "\u30ff" or "\u3400" <= char <= "\u9fff" or char >= "\U00020000"
        return _IDEOGRAPH if wide else _LETTER
    if char.isalnum():
        return _DIGIT
    return _MARK if unicodedata.category(char).startswith("M") else _OTHER


_KINDS = CharKinds(_kind_of)


# What has to be seen before a possible end is decided.
_NO_WAIT: Final = 0
_AFTER_ENDER: Final = 1  # the character behind the mark
_NEXT_CHAR: Final = 2  # the first one behind the space
_NEXT_WORD: Final = 3  # the whole next word


class _Verdict(IntEnum):
    """What a mark before a space means, by what follows; see `abbreviations` for the last three."""

    END = 0
    NO_END = 1
    UNLESS_LOWER = 2  # an ellipsis, or a quoted sentence within a sentence
    UNLESS_NUMBER = 3
    UNLESS_TAIL = 4
    IF_STARTER = 5
    UNLESS_DAY = 6  # "5 p.m. Monday", "3 p.m. EST"


class SentenceChunker:
    """Cuts the text of one reply into pieces for synthesis.

    Pieces are the text as it will be spoken: without Markdown and emoji, white space single, never empty
    and never without a letter or digit. Joined, they are the whole `plain_text`, but for marks without any
    word at the very end (or more than `MAX_WEIGHT` of them in a row), which nobody could speak.

    - The first piece leaves at the first sentence end, or earlier at a clause mark, or after `FIRST_WORDS`
      words.
    - Later pieces are whole sentences; one of fewer than `LEAST_WORDS` words is joined with the next,
      unless it is a line without any mark at its end (an item of a list), which needs the pause.
    - No piece weighs more than `MAX_WEIGHT` (one per character, more for digits and East Asian characters).

    Holds at most one piece and an unfinished link. Raises nothing, whatever the text.
    """

    def __init__(self, language: str = "vi") -> None:
        self._words = sentence_words(language)
        self._plain = PlainText()
        self._out: list[str] = []
        self._begin()

    def push(self, text: str) -> list[str]:
        """Take the next part of the model's text, cut anywhere; return the pieces now complete, if any."""
        self._take_all(self._plain.push(text))
        return self._drain()

    def finish(self) -> list[str]:
        """End the reply; return what is left, in one piece or more. Afterwards the object is as new."""
        self._take_all(self._plain.finish())
        if self._wait == _NEXT_WORD:
            self._judge_word("")
        if self._has_word:
            self._cut(len(self._buf))
        out = self._drain()
        self._begin()
        return out

    def _begin(self) -> None:
        self._first = True
        self._later = 0  # pieces behind the first
        self._fresh_line = True  # the next token is the first one on its line
        self._gap = False  # white space follows the last character of the buffer
        self._clear()

    def _clear(self) -> None:
        self._buf: list[str] = []  # the characters of the piece, at most MAX_WEIGHT of them
        self._weight = 0
        self._half_words = 0  # a word counts two, a Chinese character one
        self._has_word = False
        self._token = 0  # where the current token starts
        self._token_counted = False
        self._line = -1  # where the first token of the line starts, if it is the current one
        self._wait = _NO_WAIT
        self._verdict = _Verdict.END
        self._end = 0  # where the sentence ends if it does
        self._ender = 0  # where the marks behind the sentence start
        self._strong = False
        self._closed = False

    def _drain(self) -> list[str]:
        out = self._out
        if out:
            self._out = []
            return out
        return []

    # The characters

    def _take_all(self, text: str) -> None:
        for char in text:
            kind = _KINDS[char]
            # The inside of a word: nothing to decide.
            if kind <= _MARK and self._token_counted and not self._wait:
                self._buf.append(char)
                self._weight += 1
                if self._weight > MAX_WEIGHT:
                    self._cut_overflow()
            else:
                self._take(char, kind)

    def _take(self, char: str, kind: int) -> None:
        if self._wait:
            if self._wait == _NEXT_WORD and kind > _IDEOGRAPH:
                self._judge_word(char)
            elif self._wait == _AFTER_ENDER and self._after_ender(char, kind):
                return
        if kind == _SPACE:
            self._gap = bool(self._buf)
            self._token_counted = False
            return
        if kind == _NEWLINE:
            self._end_line()
            return
        if kind == _UNSPACE:
            self._gap = False
            return
        if self._wait == _NEXT_CHAR:
            self._judge_char(char, kind)
        if self._first and self._half_words >= 2 * FIRST_CLAUSE_WORDS:
            self._cut_early(char, kind)
        if self._gap or not self._buf:
            self._start_token()
        self._append(char, kind)

    def _start_token(self) -> None:
        if self._gap:
            self._gap = False
            # Not `_add`: a cut between the space and what follows it would lose the space.
            self._buf.append(" ")
            self._weight += 1
        self._token, self._token_counted = len(self._buf), False
        self._line = self._token if self._fresh_line else -1
        self._fresh_line = False

    def _append(self, char: str, kind: int) -> None:
        if kind == _IDEOGRAPH:
            self._half_words += 1
            self._has_word = True
        elif kind in (_LETTER, _DIGIT) and not self._token_counted:
            self._half_words += 2
            self._token_counted = self._has_word = True
        elif char in _JOINED_CLAUSE_MARKS:
            self._token, self._token_counted = len(self._buf) + 1, False
        elif kind == _ENDER:
            self._wait, self._ender = _AFTER_ENDER, len(self._buf)
            self._strong, self._closed = char in _STRONG_ENDERS, False
        self._add(char, _WEIGHT.get(kind, 1))

    def _add(self, char: str, weight: int) -> None:
        self._buf.append(char)
        self._weight += weight
        if self._weight > MAX_WEIGHT:
            self._cut_overflow()

    # Sentence ends

    def _after_ender(self, char: str, kind: int) -> bool:
        """Judge the first character behind a mark; return True when it was used up."""
        if kind == _ENDER:
            self._strong = self._strong or char in _STRONG_ENDERS
            self._add(char, 1)
            return True
        if kind == _CLOSER:
            self._closed = True
            self._add(char, 1)
            return True
        if kind == _UNSPACE:
            return True
        if kind == _SPACE:
            self._gap = True
            self._token_counted = False
            self._verdict, self._end = self._judge_mark(), len(self._buf)
            self._wait = _NEXT_CHAR
            if self._verdict is _Verdict.END:
                self._end_sentence(self._end)
            elif self._verdict is _Verdict.NO_END:
                self._wait = _NO_WAIT
            return True
        if kind == _NEWLINE:
            if self._is_list_marker():
                self._wait, self._gap, self._token_counted = _NO_WAIT, True, False
                return True
            return False
        if self._is_end_without_space(char, kind):
            self._end_sentence(len(self._buf))
        self._wait = _NO_WAIT
        return False

    def _is_end_without_space(self, char: str, kind: int) -> bool:
        if any(mark in _SURE_ENDERS for mark in self._buf[self._ender :]):
            # 「はい。」と言う: the sentence goes on around the quoted one.
            return not (self._closed and char in "とっ")
        if kind == _IDEOGRAPH:
            return True
        if not char.isupper():
            return False
        token = self._buf[self._token : self._ender]
        if self._strong:
            # "Vâng!Em": a slip; but not the query of an address.
            return not set("/@=&") & set(token)
        # "ạ.Em": the same with a full stop, behind a word in small letters and of no address.
        word = "".join(token)
        return (
            word.isalpha() and word.islower() and (len(word) > 1 or not word.isascii()) and word != "www"
        ) and not self._closed

    def _judge_mark(self) -> _Verdict:
        """Judge the mark before a space by the word that it belongs to."""
        if self._strong:
            return _Verdict.UNLESS_LOWER if self._closed else _Verdict.END
        marks = [mark for mark in self._buf[self._ender :] if mark in _FULL_STOPS]
        if len(marks) > 1 or marks[0] == "…":
            return _Verdict.UNLESS_LOWER
        verdict = self._judge_word_before_stop()
        if self._closed and verdict in (_Verdict.END, _Verdict.NO_END):
            return _Verdict.UNLESS_LOWER
        return verdict

    def _judge_word_before_stop(self) -> _Verdict:
        word = "".join(self._buf[self._token : self._ender]).lstrip(_OPENERS)
        words = self._words
        if not word:
            return _Verdict.UNLESS_LOWER  # ". . ."
        if self._is_list_marker():
            return _Verdict.NO_END
        if word in words.titles:
            return _Verdict.UNLESS_TAIL if word in STREETS and self._follows_number() else _Verdict.NO_END
        if word in words.numbered:
            return _Verdict.UNLESS_NUMBER
        if word in words.hours:
            return _Verdict.UNLESS_DAY
        if word in words.tails:
            return _Verdict.UNLESS_TAIL
        if word in words.initials or self._is_initials(word):
            return _Verdict.IF_STARTER
        parts = word.split(".")
        if len(parts) > 1 and all(part in words.titles for part in parts):
            return _Verdict.NO_END
        return _Verdict.END

    def _is_initials(self, word: str) -> bool:
        if len(word) == 1:
            # "So do I." ends; "I. Newton", "Albert I. Jones", "Q. Tân Bình" do not.
            before = "".join(self._buf[: self._token]).split()
            return word.isupper() and (word != "I" or not before or before[-1][0].isupper())
        parts = word.split(".")
        return len(parts) > 1 and all(1 <= len(part) <= 2 and part.isalpha() for part in parts)

    def _follows_number(self) -> bool:
        before = "".join(self._buf[: self._token]).split()[-3:]
        return any(char.isdigit() for word in before for char in word)

    def _is_list_marker(self) -> bool:
        """Tell whether the token before the mark is "1", "12", "a" or "iv" at the start of a line."""
        if self._line != self._token or self._ender + 1 != len(self._buf) or self._buf[self._ender] != ".":
            return False
        word = "".join(self._buf[self._token : self._ender])
        if word.isdigit():
            return len(word) <= 3
        return (len(word) == 1 and word.isalpha()) or (
            0 < len(word) <= 4 and not set(word.lower()) - set("ivx")
        )

    def _judge_char(self, char: str, kind: int) -> None:
        """Judge a possible end by the first character behind the space."""
        letter = kind in (_LETTER, _IDEOGRAPH)
        on = char.islower() or char in ",;:" or kind == _ENDER
        verdict = self._verdict
        self._wait = _NO_WAIT
        if verdict is _Verdict.UNLESS_LOWER:
            on = on or char in "(["
        elif verdict is _Verdict.UNLESS_NUMBER:
            on = on or kind == _DIGIT or char == "#"
        elif verdict in (_Verdict.UNLESS_TAIL, _Verdict.IF_STARTER, _Verdict.UNLESS_DAY):
            on = on or not (letter or char in _QUOTES)
        if on:
            return
        if verdict in (_Verdict.IF_STARTER, _Verdict.UNLESS_DAY) and kind == _LETTER:
            self._wait = _NEXT_WORD
            return
        self._end_sentence(self._end)

    def _judge_word(self, following: str) -> None:
        """Judge a possible end by the word behind the space, now complete."""
        self._wait = _NO_WAIT
        word = "".join(self._buf[self._end :]).strip()
        if self._verdict is _Verdict.UNLESS_DAY:
            if word not in self._words.behind_hours:
                self._end_sentence(self._end)
            return
        if word in self._words.starters and not (len(word) == 1 and following == "."):
            self._end_sentence(self._end)

    def _end_sentence(self, end: int) -> None:
        self._wait = _NO_WAIT
        least = LEAST_WORDS[min(self._later, len(LEAST_WORDS) - 1)]
        if self._has_word and (self._first or self._half_words >= 2 * least):
            self._cut(end)

    def _end_line(self) -> None:
        self._wait = _NO_WAIT
        self._fresh_line = True
        self._token_counted = False
        self._gap = bool(self._buf)
        if self._has_word and (
            self._first or self._half_words >= 2 * LEAST_WORDS[0] or _KINDS[self._buf[-1]] <= _IDEOGRAPH
        ):
            self._cut(len(self._buf))

    # Cuts

    def _cut(self, end: int) -> None:
        """Hand on the buffer up to `end` and take what is behind it anew."""
        piece = "".join(self._buf[:end]).strip()
        rest = self._buf[end:]
        gap, fresh_line = self._gap, self._fresh_line
        self._gap = self._fresh_line = False
        self._clear()
        if any(char.isalnum() for char in piece):
            self._out.append(piece)
            self._later += not self._first
            self._first = False
        for char in rest:
            self._take(char, _KINDS[char])
        if gap and self._buf:
            self._gap, self._token_counted = True, False
        self._fresh_line = fresh_line

    def _cut_early(self, char: str, kind: int) -> None:
        """Before a character of the first piece: cut it here if it is a clause mark or the word limit."""
        if not self._gap:
            if self._buf[-1] in _JOINED_CLAUSE_MARKS and kind in (_LETTER, _IDEOGRAPH):
                self._cut(len(self._buf))
            return
        if self._is_clause_end(len(self._buf), kind):
            self._cut(len(self._buf))
        elif self._half_words >= 2 * FIRST_WORDS:
            self._cut_at_word_limit(char)

    def _is_clause_end(self, at: int, kind: int) -> bool:
        """Tell whether a clause mark stands before the space at `at`, with a character of `kind` behind."""
        mark = self._buf[at - 1]
        before = at - 2
        if mark in _DASHES:
            if mark != "—" and (before < 0 or self._buf[before] != " "):
                return False  # a hyphen
            while before >= 0 and self._buf[before] == " ":
                before -= 1
        elif mark not in _CLAUSE_MARKS and mark not in _JOINED_CLAUSE_MARKS:
            return False
        # "0901, 234, 567" and "5 - 10" are one number or range.
        return kind != _DIGIT or before < 0 or not self._buf[before].isdigit()

    def _is_good_border(self, at: int, char: str) -> bool:
        """Tell whether the words on both sides of the space at `at`, the second starting with `char`, may be
        spoken apart: no number, no abbreviation, no name of two words."""
        if _KINDS[self._buf[at - 1]] not in (_LETTER, _MARK, _CLOSER):
            return False
        if char.isupper():
            start = at
            while start > 0 and self._buf[start - 1] != " ":
                start -= 1
            return not self._buf[start].isupper()
        return _KINDS[char] != _DIGIT

    def _cut_at_word_limit(self, char: str) -> None:
        buf = self._buf
        spaces = [i for i, one in enumerate(buf) if one == " "]
        places = [i for i in spaces[FIRST_LEAST_WORDS - 1 :] if self._is_good_border(i, buf[i + 1])]
        if self._is_good_border(len(buf), char):
            places.append(len(buf))
        if places:
            linked = [i for i in places if self._is_link(i)]
            self._cut(max(linked or [i for i in places if not self._is_behind_lead(i)] or places))

    def _is_link(self, at: int) -> bool:
        """Tell whether the word behind the space at `at` is one like "and"."""
        word = "".join(self._buf[at + 1 : at + 9]).split(" ", 1)[0]
        return word in self._words.links

    def _is_behind_lead(self, at: int) -> bool:
        """Tell whether the word before the space at `at` is one like "the"."""
        start = at
        while start > 0 and self._buf[start - 1] != " ":
            start -= 1
        return "".join(self._buf[start:at]).lower() in self._words.leads

    def _cut_overflow(self) -> None:
        """Cut a piece that has grown too heavy, at the last good place."""
        buf = self._buf
        third = len(buf) // 3
        places = [i for i in range(max(third, 1), len(buf) - 1) if buf[i] == " "]
        ends = [
            i for i in places if _KINDS[buf[i - 1]] == _ENDER or self._is_clause_end(i, _KINDS[buf[i + 1]])
        ]
        joined = [
            i
            for i in range(max(third, 1), len(buf))
            if (buf[i - 1] in _JOINED_CLAUSE_MARKS or buf[i - 1] in _SURE_ENDERS) and buf[i] not in _CLOSERS
        ]
        links = [i for i in places if self._is_link(i) and self._is_good_border(i, buf[i + 1])]
        good = [i for i in places if self._is_good_border(i, buf[i + 1])]
        apart = [i for i in places if not (buf[i - 1].isdigit() and buf[i + 1].isdigit())]
        ended = [i for i in good if not self._is_behind_lead(i)]
        for choice in (ends + joined, links, ended, good, apart, places):
            if choice:
                self._cut(max(choice))
                return
        # No space at all: between two characters, but not before an accent, nor within a number if that is
        # possible.
        last = len(buf) - 1
        whole = [i for i in range(max(third, 1), last + 1) if _KINDS[buf[i]] != _MARK]
        safe = [i for i in whole if not (buf[i - 1].isdigit() and buf[i].isdigit())]
        self._cut(max(safe or whole or [last]))
