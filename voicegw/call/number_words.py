"""Numbers that a caller says, to writing; Vietnamese and English.

    digits_of("không chín một hai, ba trăm bốn mươi lăm", "vi")    "0912345"
    number_of("một triệu rưỡi", "vi")                               1500000

Takes transcripts as Whisper writes them: words and digits mixed, commas and full stops anywhere. A word
that may also be none ("không" is no, "năm" is year, "one" as in "this one") counts when it stands among
other numbers or is all that was said.
"""

import re
import unicodedata
from dataclasses import dataclass, field

from voicegw.call.number_vocabulary import (
    ANNOUNCES,
    CLASS,
    COMMA,
    DIGIT,
    DOUBTFUL,
    FILLERS,
    HALF,
    HUNDRED,
    JOIN,
    ONLY_BEHIND_NUMBERS,
    OTHER,
    POINT,
    TEEN,
    TEN,
    TIMES,
    VI_TIMES,
    WRITTEN,
    words_for,
)
from voicegw.call.spoken_numbers import is_vietnamese


@dataclass(frozen=True, slots=True)
class _Word:
    kind: str
    text: str
    value: int = 0


_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[^\w\s]|_")


def _words(text: str, language: str) -> list[_Word]:
    table = words_for(language)
    found: list[_Word] = []
    for token in _TOKEN.findall(unicodedata.normalize("NFC", text).lower()):
        if token[0].isdecimal():
            found.append(_Word(WRITTEN, token))
        elif token in "-'’":
            continue  # twenty-five, 0-9-1-2
        elif not token[0].isalpha():
            found.append(_Word(COMMA, token))
        elif token in table and not (
            token in ONLY_BEHIND_NUMBERS and (not found or found[-1].kind != WRITTEN)
        ):
            kind, value = table[token]
            found.append(_Word(kind, token, value))
        else:
            found.append(_Word(OTHER, token))
    return found


@dataclass(slots=True)
class _Run:
    """Numbers said one behind the other."""

    digits: list[str] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    announced: bool = False

    def add(self, digits: str, value: float, words: list[_Word]) -> None:
        self.digits.append(digits)
        self.values.append(value)
        self.words += [word.text for word in words]

    @property
    def doubtful(self) -> bool:
        return len(self.words) == 1 and self.words[0] in DOUBTFUL and not self.announced


class _Reader:
    """Reads the numbers of a list of words; `at` is the place reached."""

    def __init__(self, words: list[_Word], language: str) -> None:
        self.words = words
        self.vietnamese = is_vietnamese(language)
        self.at = 0

    def kind(self, ahead: int = 0) -> str:
        index = self.at + ahead
        return self.words[index].kind if index < len(self.words) else ""

    def text(self, ahead: int = 0) -> str:
        index = self.at + ahead
        return self.words[index].text if 0 <= index < len(self.words) else ""

    def value(self, ahead: int = 0) -> int:
        return self.words[self.at + ahead].value

    def runs(self) -> list[_Run]:
        """Return all runs of numbers, in order."""
        runs: list[_Run] = []
        run = _Run()
        while self.at < len(self.words):
            start = self.at
            found = self._number()
            if found is not None:
                if not run.words:
                    run.announced = start > 0 and self.words[start - 1].text in ANNOUNCES
                run.add(*found, self.words[start : self.at])
                continue
            ends = self.kind() == OTHER and self.text() not in FILLERS
            # "không, không chín một hai": the first is an answer, not a digit.
            refusal = self.kind() == COMMA and run.words == ["không"]
            if run.words and (ends or refusal):
                runs.append(run)
                run = _Run()
            self.at += 1
        if run.words:
            runs.append(run)
        return runs

    def _number(self) -> tuple[str, float] | None:
        """Read one number or digit; None (and nothing read) if there is none here."""
        start = self.at
        if self._is_year_word():
            return None
        if (times := self._times()) is not None:
            return times
        amount = self._cardinal()
        if amount is None:
            self.at = start
            return None
        digits, value = amount
        if self.kind() == POINT and self.kind(1) in (DIGIT, WRITTEN, TEEN):
            return self._decimal(value)
        return digits, value

    def _is_year_word(self) -> bool:
        """ "năm" before a year: "tháng ba năm hai nghìn", "năm 2026"."""
        if not self.vietnamese or self.text() != "năm":
            return False
        written = self.text(1)
        return (self.kind(1) == WRITTEN and len(written) == 4 and written[:2] in ("19", "20")) or (
            self.kind(1) == DIGIT and self.kind(2) == CLASS and self.value(2) == 1000
        )

    def _times(self) -> tuple[str, float] | None:
        """ "double three", "ba số tám"."""
        n = 0
        if self.kind() == TIMES and self.kind(1) in (DIGIT, WRITTEN):
            n, skip = self.value(), 1
        elif self.kind() == DIGIT and self.value() in (2, 3, 4) and self.text(1) in VI_TIMES:
            n, skip = self.value(), 2
        if not n or self.kind(skip) not in (DIGIT, WRITTEN):
            return None
        self.at += skip
        if self.kind() == WRITTEN:
            digits = _only_digits(self.text())
            digits = digits[0] * n + digits[1:]
        else:
            digits = str(self.value()) * n
        self.at += 1
        return digits, float(digits)

    def _decimal(self, whole: float) -> tuple[str, float]:
        self.at += 1
        digits = ""
        while self.kind() in (DIGIT, WRITTEN, TEEN):
            digits += _only_digits(self.text()) if self.kind() == WRITTEN else str(self.value())
            self.at += 1
        value = float(f"{int(whole)}.{digits}")
        if self.kind() == CLASS:
            value = round(value * self.value(), 6)
            self.at += 1
        return _plain(value), value

    def _cardinal(self) -> tuple[str, float] | None:
        first = self._below_class()
        if first is None:
            return None
        digits, value = first
        total = 0.0
        size = 0
        while self.kind() == CLASS and (not size or self.value() < size or self.value() >= 10**9):
            # "một nghìn tỷ": a thousand billions, all that was read so far.
            grows = self.value() > size
            size = self.value()
            total = round((total + value) * size if grows else total + value * size, 6)
            value = 0.0
            self.at += 1
            if self.kind() == HALF:
                self.at += 1
                return _plain(total + size / 2), total + size / 2
            before = self.at
            if self.kind() in (JOIN, DIGIT, TEEN, TEN, WRITTEN):
                following = self._tail(size)
                if following is None:
                    self.at = before
                    break
                value = following
        if not size:
            return digits, value
        return _plain(total + value), total + value

    def _tail(self, size: int) -> float | None:
        """Read what follows "thousand" and more within the same number; None if a new one begins."""
        if self.kind() == JOIN:
            self.at += 1
        elif self.vietnamese and self.kind() == DIGIT and self._is_lone_digit():
            # "một triệu hai": a digit of the next lower place.
            value = self.value() * size / 10
            self.at += 1
            return value
        elif self._is_dictation():
            return None
        start = self.at
        found = self._below_class()
        if found is None or (found[1] >= 1000 and self.words[start].kind == WRITTEN):
            return None
        value = found[1]
        hundreds = any(word.kind == HUNDRED for word in self.words[start : self.at])
        if self.vietnamese and size >= 10**6 and hundreds and value >= 100 and self.kind() != CLASS:
            return value * size / 1000  # "một triệu hai trăm": hundreds of thousands
        return value

    def _is_lone_digit(self) -> bool:
        return self.kind(1) not in (DIGIT, TEEN, TEN, HUNDRED, CLASS, JOIN, HALF, WRITTEN)

    def _is_dictation(self) -> bool:
        """Two digits one behind the other: no part of a number, "eight hundred five five five"."""
        return self.kind() in (DIGIT, WRITTEN) and self.kind(1) in (DIGIT, WRITTEN)

    def _below_class(self) -> tuple[str, float] | None:
        """Read a number below 1000, or one written in digits."""
        if self.kind() == WRITTEN:
            return self._written()
        if self.vietnamese and self.kind() == JOIN:
            # "một linh năm": 105, said short.
            if self.at and self.words[self.at - 1].kind == DIGIT and self.kind(1) == DIGIT:
                self.at += 1
                return "0", 0.0
            return None
        if self.kind() == HUNDRED and (self.vietnamese or self.text(-1) == "a"):
            value = 1
        else:
            found = self._below_100()
            if found is None:
                return None
            value = found
            if self.kind() != HUNDRED:
                return str(value), float(value)
        self.at += 1
        value *= 100
        value += self._behind_hundred()
        return str(value), float(value)

    def _behind_hundred(self) -> int:
        start = self.at
        if self.kind() == HALF:
            self.at += 1
            return 50
        joined = self.kind() == JOIN
        if joined:
            self.at += 1
        elif self.vietnamese and self.kind() == DIGIT and self.kind(1) not in (TEN, DIGIT):
            # "hai trăm ba": 230, also before "nghìn"; but not where another number begins.
            if self.kind(1) in (HUNDRED, JOIN, HALF):
                return 0
            self.at += 1
            return self.words[self.at - 1].value * 10
        elif self._is_dictation():
            if self.vietnamese and self.kind(1) == DIGIT and self.kind(2) != DIGIT:
                self.at += 2  # "một trăm hai ba nghìn": 123,000, said short
                return 10 * self.words[self.at - 2].value + self.words[self.at - 1].value
            return 0
        found = self._below_100()
        if found is None or (self.kind() == HUNDRED and not joined):
            self.at = start
            return 0
        return found

    def _below_100(self) -> int | None:
        return self._vi_below_100() if self.vietnamese else self._en_below_100()

    def _vi_below_100(self) -> int | None:
        if self.kind() == TEEN:
            tens = 1
            self.at += 1
        elif self.kind() == DIGIT:
            tens = self.value()
            self.at += 1
            if self.kind() == DIGIT and self.text() in ("lăm", "nhăm", "mốt") and tens > 1:
                self.at += 1  # "hai lăm": 25
                return 10 * tens + self.words[self.at - 1].value
            if self.kind() != TEN or tens == 0:
                return tens
            self.at += 1
        else:
            return None
        if self.kind() == DIGIT and self.kind(1) not in (TEN, HUNDRED) and self.value():
            self.at += 1
            return 10 * tens + self.words[self.at - 1].value
        return 10 * tens

    def _en_below_100(self) -> int | None:
        if self.kind() == TEN:
            value = self.value()
            self.at += 1
            if self.kind() == DIGIT and self.value():
                value += self.value()
                self.at += 1
            return value
        if self.kind() in (TEEN, DIGIT):
            self.at += 1
            return self.words[self.at - 1].value
        return None

    def _written(self) -> tuple[str, float]:
        text = self.text()
        self.at += 1
        mark, other = (",", ".") if self.vietnamese else (".", ",")
        value: float
        if re.fullmatch(rf"\d{{1,3}}(?:\{other}\d{{3}})+(?:\{mark}\d+)?", text):
            value = float(text.replace(other, "").replace(mark, "."))
        elif re.fullmatch(r"\d+[.,]\d{1,2}", text):
            value = float(text.replace(",", "."))
        else:
            return _only_digits(text), float(_only_digits(text))
        return _only_digits(text), value


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value).replace(".", "")


def _only_digits(text: str) -> str:
    return "".join(char for char in text if char.isdecimal())


def _sure_runs(text: str, language: str) -> list[_Run]:
    words = _words(text, language)
    runs = _Reader(words, language).runs()
    alone = len(runs) == 1 and not any(word.kind == OTHER and word.text not in FILLERS for word in words)
    return runs if alone else [run for run in runs if not run.doubtful]


def digits_of(text: str, language: str) -> str:
    """Return all digits that were said, joined; "" if there are none.

    "double three" is 33, "mười lăm" 15, "hai mươi lăm nghìn" 25000, "oh" among digits 0.
    """
    return "".join(digits for run in _sure_runs(text, language) for digits in run.digits)


def number_of(text: str, language: str) -> int | float | None:
    """Return the amount that was said; None if there is none. Of several the last one: callers correct
    themselves.

    Digits said one by one are one number: "one two" is 12. "một triệu rưỡi" is 1500000.
    """
    runs = _sure_runs(text, language)
    if not runs:
        return None
    run = runs[-1]
    if len(run.values) == 1:
        value = run.values[0]
    elif max(run.values) < 1000:
        value = float("".join(run.digits))  # digits, one by one
    else:
        value = 0.0
        for amount in run.values:
            # "một triệu, hai trăm nghìn" goes on; "hai triệu, không, ba triệu" begins anew.
            value = (
                value + amount
                if 1000 <= amount < value and value % 10 ** len(str(int(amount))) == 0
                else amount
            )
    return int(value) if value == int(value) else value
