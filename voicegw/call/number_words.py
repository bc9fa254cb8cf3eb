"""What a caller dictates, to writing and back: numbers, codes, e-mail addresses; Vietnamese and English.

    digits_of("không chín một hai, ba trăm bốn mươi lăm", "vi")    "0912345"
    number_of("một triệu rưỡi", "vi")                               1500000
    code_of("mã là đê hát một hai ba", "vi")                        "DH123"
    email_of("nam chấm lê a còng gờ meo chấm com", "vi")            "nam.le@gmail.com"
    spell("DH123", "vi")                                            "đê hát, một hai ba"

Takes transcripts as Whisper writes them: words and digits mixed, commas and full stops anywhere. A word
that may also be none ("không" is no, "năm" is year, "one" as in "this one") counts when it stands among
other numbers or is all that was said.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final

from voicegw.call.spoken_numbers import digit_by_digit, is_vietnamese, letter

# Kinds of words.
_DIGIT: Final = "digit"
_TEEN: Final = "teen"
_TEN: Final = "ten"  # twenty; in Vietnamese the word behind the digit: hai "mươi"
_HUNDRED: Final = "hundred"
_CLASS: Final = "class"  # thousand and more
_JOIN: Final = "join"  # one hundred "and" five, một trăm "linh" năm
_HALF: Final = "half"
_POINT: Final = "point"
_TIMES: Final = "times"  # double, triple
_WRITTEN: Final = "written"  # digits in the transcript
_COMMA: Final = "comma"
_OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class _Word:
    kind: str
    text: str
    value: int = 0


def _entries(kind: str, **values: int) -> dict[str, tuple[str, int]]:
    return {word.replace("_", " "): (kind, value) for word, value in values.items()}


_VI: Final = {
    **_entries(_DIGIT, không=0, một=1, hai=2, ba=3, bốn=4, năm=5, sáu=6, bảy=7, tám=8, chín=9),
    # Forms behind a ten, and ways to write the same: bẩy, mốt, lăm.
    **_entries(_DIGIT, mốt=1, tư=4, lăm=5, nhăm=5, bẩy=7, zero=0),
    **_entries(_TEEN, mười=10),
    **_entries(_TEN, mươi=10, chục=10),
    **_entries(_HUNDRED, trăm=100),
    **_entries(_CLASS, nghìn=1000, ngàn=1000, k=1000, triệu=10**6, tr=10**6, tỷ=10**9, tỉ=10**9),
    **_entries(_JOIN, linh=0, lẻ=0),
    **_entries(_HALF, rưỡi=0, rưởi=0),
    **_entries(_POINT, phẩy=0),
}
_EN: Final = {
    **_entries(_DIGIT, zero=0, oh=0, o=0, nought=0, naught=0, nil=0, one=1, two=2, three=3, four=4, five=5),
    **_entries(_DIGIT, six=6, seven=7, eight=8, nine=9, niner=9),
    **_entries(_TEEN, ten=10, eleven=11, twelve=12, thirteen=13, fourteen=14, fifteen=15, sixteen=16),
    **_entries(_TEEN, seventeen=17, eighteen=18, nineteen=19),
    **_entries(_TEN, twenty=20, thirty=30, forty=40, fourty=40, fifty=50, sixty=60, seventy=70, eighty=80),
    **_entries(_TEN, ninety=90),
    **_entries(_HUNDRED, hundred=100),
    **_entries(_CLASS, thousand=1000, k=1000, million=10**6, billion=10**9),
    **_entries(_JOIN, **{"and": 0}),
    **_entries(_POINT, point=0),
    **_entries(_TIMES, double=2, triple=3, treble=3),
}
# Only behind a number: "twenty k".
_ONLY_BEHIND_NUMBERS: Final = frozenset({"k", "tr"})
# Words that are often no number: alone among other words they are not taken for one.
_DOUBTFUL: Final = frozenset(
    {"không", "một", "hai", "ba", "năm", "tư", "tám", "chín", "linh", "mốt", "chục", "zero", "one", "o", "oh"}
)
# Behind these a doubtful word is a number all the same.
_ANNOUNCES: Final = frozenset({"số", "phím", "là", "chọn", "number", "press", "option", "key", "is", "digit"})
# Behind "hai" or "ba" and before a digit: "ba số tám" is 888.
_VI_TIMES: Final = frozenset({"số", "con"})
# Between numbers they change nothing.
_FILLERS: Final = frozenset(
    {
        "rồi",
        "tiếp",
        "và",
        "dạ",
        "ạ",
        "à",
        "ừ",
        "ờ",
        "uh",
        "um",
        "then",
        "dash",
        "hyphen",
        "chấm",
        "gạch",
        "ngang",
    }
)

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[^\w\s]|_")


def _words(text: str, language: str) -> list[_Word]:
    table = _VI if is_vietnamese(language) else _EN
    found: list[_Word] = []
    for token in _TOKEN.findall(unicodedata.normalize("NFC", text).lower()):
        if token[0].isdecimal():
            found.append(_Word(_WRITTEN, token))
        elif token in "-'’":
            continue  # twenty-five, 0-9-1-2
        elif not token[0].isalpha():
            found.append(_Word(_COMMA, token))
        elif token in table and not (
            token in _ONLY_BEHIND_NUMBERS and (not found or found[-1].kind != _WRITTEN)
        ):
            kind, value = table[token]
            found.append(_Word(kind, token, value))
        else:
            found.append(_Word(_OTHER, token))
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
        return len(self.words) == 1 and self.words[0] in _DOUBTFUL and not self.announced


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
                    run.announced = start > 0 and self.words[start - 1].text in _ANNOUNCES
                run.add(*found, self.words[start : self.at])
                continue
            ends = self.kind() == _OTHER and self.text() not in _FILLERS
            # "không, không chín một hai": the first is an answer, not a digit.
            refusal = self.kind() == _COMMA and run.words == ["không"]
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
        if self.kind() == _POINT and self.kind(1) in (_DIGIT, _WRITTEN, _TEEN):
            return self._decimal(value)
        return digits, value

    def _is_year_word(self) -> bool:
        """ "năm" before a year: "tháng ba năm hai nghìn", "năm 2026"."""
        if not self.vietnamese or self.text() != "năm":
            return False
        written = self.text(1)
        return (self.kind(1) == _WRITTEN and len(written) == 4 and written[:2] in ("19", "20")) or (
            self.kind(1) == _DIGIT and self.kind(2) == _CLASS and self.value(2) == 1000
        )

    def _times(self) -> tuple[str, float] | None:
        """ "double three", "ba số tám"."""
        n = 0
        if self.kind() == _TIMES and self.kind(1) in (_DIGIT, _WRITTEN):
            n, skip = self.value(), 1
        elif self.kind() == _DIGIT and self.value() in (2, 3, 4) and self.text(1) in _VI_TIMES:
            n, skip = self.value(), 2
        if not n or self.kind(skip) not in (_DIGIT, _WRITTEN):
            return None
        self.at += skip
        if self.kind() == _WRITTEN:
            digits = _only_digits(self.text())
            digits = digits[0] * n + digits[1:]
        else:
            digits = str(self.value()) * n
        self.at += 1
        return digits, float(digits)

    def _decimal(self, whole: float) -> tuple[str, float]:
        self.at += 1
        digits = ""
        while self.kind() in (_DIGIT, _WRITTEN, _TEEN):
            digits += _only_digits(self.text()) if self.kind() == _WRITTEN else str(self.value())
            self.at += 1
        value = float(f"{int(whole)}.{digits}")
        if self.kind() == _CLASS:
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
        while self.kind() == _CLASS and (not size or self.value() < size or self.value() >= 10**9):
            # "một nghìn tỷ": a thousand billions, all that was read so far.
            grows = self.value() > size
            size = self.value()
            total = round((total + value) * size if grows else total + value * size, 6)
            value = 0.0
            self.at += 1
            if self.kind() == _HALF:
                self.at += 1
                return _plain(total + size / 2), total + size / 2
            before = self.at
            if self.kind() in (_JOIN, _DIGIT, _TEEN, _TEN, _WRITTEN):
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
        if self.kind() == _JOIN:
            self.at += 1
        elif self.vietnamese and self.kind() == _DIGIT and self._is_lone_digit():
            # "một triệu hai": a digit of the next lower place.
            value = self.value() * size / 10
            self.at += 1
            return value
        elif self._is_dictation():
            return None
        start = self.at
        found = self._below_class()
        if found is None or (found[1] >= 1000 and self.words[start].kind == _WRITTEN):
            return None
        value = found[1]
        hundreds = any(word.kind == _HUNDRED for word in self.words[start : self.at])
        if self.vietnamese and size >= 10**6 and hundreds and value >= 100 and self.kind() != _CLASS:
            return value * size / 1000  # "một triệu hai trăm": hundreds of thousands
        return value

    def _is_lone_digit(self) -> bool:
        return self.kind(1) not in (_DIGIT, _TEEN, _TEN, _HUNDRED, _CLASS, _JOIN, _HALF, _WRITTEN)

    def _is_dictation(self) -> bool:
        """Two digits one behind the other: no part of a number, "eight hundred five five five"."""
        return self.kind() in (_DIGIT, _WRITTEN) and self.kind(1) in (_DIGIT, _WRITTEN)

    def _below_class(self) -> tuple[str, float] | None:
        """Read a number below 1000, or one written in digits."""
        if self.kind() == _WRITTEN:
            return self._written()
        if self.vietnamese and self.kind() == _JOIN:
            # "một linh năm": 105, said short.
            if self.at and self.words[self.at - 1].kind == _DIGIT and self.kind(1) == _DIGIT:
                self.at += 1
                return "0", 0.0
            return None
        if self.kind() == _HUNDRED and (self.vietnamese or self.text(-1) == "a"):
            value = 1
        else:
            found = self._below_100()
            if found is None:
                return None
            value = found
            if self.kind() != _HUNDRED:
                return str(value), float(value)
        self.at += 1
        value *= 100
        value += self._behind_hundred()
        return str(value), float(value)

    def _behind_hundred(self) -> int:
        start = self.at
        if self.kind() == _HALF:
            self.at += 1
            return 50
        joined = self.kind() == _JOIN
        if joined:
            self.at += 1
        elif self.vietnamese and self.kind() == _DIGIT and self.kind(1) not in (_TEN, _DIGIT):
            # "hai trăm ba": 230, also before "nghìn"; but not where another number begins.
            if self.kind(1) in (_HUNDRED, _JOIN, _HALF):
                return 0
            self.at += 1
            return self.words[self.at - 1].value * 10
        elif self._is_dictation():
            if self.vietnamese and self.kind(1) == _DIGIT and self.kind(2) != _DIGIT:
                self.at += 2  # "một trăm hai ba nghìn": 123,000, said short
                return 10 * self.words[self.at - 2].value + self.words[self.at - 1].value
            return 0
        found = self._below_100()
        if found is None or (self.kind() == _HUNDRED and not joined):
            self.at = start
            return 0
        return found

    def _below_100(self) -> int | None:
        return self._vi_below_100() if self.vietnamese else self._en_below_100()

    def _vi_below_100(self) -> int | None:
        if self.kind() == _TEEN:
            tens = 1
            self.at += 1
        elif self.kind() == _DIGIT:
            tens = self.value()
            self.at += 1
            if self.kind() == _DIGIT and self.text() in ("lăm", "nhăm", "mốt") and tens > 1:
                self.at += 1  # "hai lăm": 25
                return 10 * tens + self.words[self.at - 1].value
            if self.kind() != _TEN or tens == 0:
                return tens
            self.at += 1
        else:
            return None
        if self.kind() == _DIGIT and self.kind(1) not in (_TEN, _HUNDRED) and self.value():
            self.at += 1
            return 10 * tens + self.words[self.at - 1].value
        return 10 * tens

    def _en_below_100(self) -> int | None:
        if self.kind() == _TEN:
            value = self.value()
            self.at += 1
            if self.kind() == _DIGIT and self.value():
                value += self.value()
                self.at += 1
            return value
        if self.kind() in (_TEEN, _DIGIT):
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
    alone = len(runs) == 1 and not any(word.kind == _OTHER and word.text not in _FILLERS for word in words)
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


# Codes

_VI_LETTERS: Final = {
    "bê": "B", "bờ": "B", "xê": "C", "cờ": "C", "dê": "D", "dờ": "D", "đê": "D", "đờ": "D", "đ": "D",
    "ê": "E", "ép": "F", "ép phờ": "F", "phờ": "F", "giê": "G", "gờ": "G", "hát": "H", "hắt": "H", "hờ": "H",
    "gi": "J", "ca": "K", "ka": "K", "lờ": "L", "eo": "L", "mờ": "M", "em mờ": "M", "nờ": "N",
    "en": "N", "en nờ": "N", "ô": "O", "ơ": "O", "pê": "P", "pờ": "P", "quy": "Q", "cu": "Q", "rờ": "R",
    "ét": "S", "ét sì": "S", "sờ": "S", "xì": "S", "tê": "T", "tờ": "T", "ư": "U", "vê": "V",
    "vờ": "V", "vê kép": "W", "đắp liu": "W", "ích": "X", "ích xì": "X", "xờ": "X", "i dài": "Y",
    "i cờ rét": "Y", "i ngắn": "I", "dét": "Z", "zét": "Z",
}  # fmt: skip
_EN_LETTERS: Final = {
    "ay": "A", "bee": "B", "cee": "C", "see": "C", "dee": "D", "ee": "E", "eff": "F", "gee": "G",
    "aitch": "H", "haitch": "H", "jay": "J", "kay": "K", "ell": "L", "em": "M", "en": "N", "pee": "P",
    "cue": "Q", "queue": "Q", "ar": "R", "ess": "S", "tee": "T", "vee": "V", "double u": "W", "ex": "X",
    "wye": "Y", "zee": "Z", "zed": "Z",
    # https://www.icao.int/Pages/AlphabetRadiotelephony.aspx
    "alpha": "A", "alfa": "A", "bravo": "B", "charlie": "C", "delta": "D", "echo": "E", "foxtrot": "F",
    "golf": "G", "hotel": "H", "india": "I", "juliet": "J", "juliett": "J", "kilo": "K", "lima": "L",
    "mike": "M", "november": "N", "oscar": "O", "papa": "P", "quebec": "Q", "romeo": "R", "sierra": "S",
    "tango": "T", "uniform": "U", "victor": "V", "whiskey": "W", "x ray": "X", "xray": "X", "yankee": "Y",
    "zulu": "Z",
}  # fmt: skip
_CODE_TOKEN = re.compile(r"[^\W_]+|[^\w\s]")
# "D as in Delta", "B for Bravo", "đê như Đà Nẵng": the word behind is no part of the code.
_AS_IN = re.compile(r"(?i:\s+(?:as in|như|(?<=\b\w\s)(?:for|like))\s+)[^\W\d_]+(?:\s+[A-ZĐ][^\W\d_]+)*")
# Said between the characters of a code, and no part of it.
_CODE_FILLERS: Final = frozenset({"capital", "letter", "chữ", "hoa"})


def code_of(text: str, language: str) -> str:
    """Return the code that was dictated: capital letters and digits without spaces, "" if there is none.

    Of several runs of letters and digits the longest, one with a digit before one without. Letters by their
    names ("đê hát", "dee aitch"), spelling words ("delta") or alone; "SUMMER2025" as it is.
    """
    text = _AS_IN.sub(" ", unicodedata.normalize("NFC", text))
    vietnamese = is_vietnamese(language)
    names = _VI_LETTERS if vietnamese else _EN_LETTERS
    numbers = _VI if vietnamese else _EN
    runs: list[list[str]] = [[]]
    spoken: list[str] = []  # number words in a row, read together

    def flush() -> None:
        if spoken:
            runs[-1].append(digits_of(" ".join(spoken), language) or digits_of(f"số {spoken[0]}", language))
            spoken.clear()

    tokens = _CODE_TOKEN.findall(text)
    at = 0
    while at < len(tokens):
        token, low = tokens[at], tokens[at].lower()
        pair = f"{low} {tokens[at + 1].lower()}" if at + 1 < len(tokens) else ""
        at += 1
        is_number = low in numbers and numbers[low][0] != _POINT and low not in _ONLY_BEHIND_NUMBERS
        if is_number and not (low == "o" and not spoken):
            spoken.append(low)
        elif token.isdecimal():
            spoken.append(token)
        elif pair in names:
            flush()
            runs[-1].append(names[pair])
            at += 1
        elif low in names and not (token.isupper() and token.isascii() and len(token) > 1):
            flush()
            runs[-1].append(names[low])
        elif token.isascii() and (
            len(token) == 1 or token.isupper() or (token.isalnum() and not token.isalpha())
        ):
            flush()
            if token.isalnum():
                runs[-1].append(token.upper())
        elif low in _FILLERS or low in _CODE_FILLERS or not token.isalnum():
            flush()
        else:
            flush()
            runs.append([])
    flush()
    codes = ["".join(run) for run in runs]
    return max(codes, key=lambda code: (any(map(str.isdecimal, code)), len(code)))


# E-mail

_MARKS: Final = {
    "a còng": "@", "a còn": "@", "a móc": "@", "at": "@", "@": "@", "chấm": ".", "dot": ".", "point": ".",
    "period": ".", ".": ".", "gạch dưới": "_", "gạch chân": "_", "underscore": "_", "_": "_",
    "gạch ngang": "-", "gạch nối": "-", "trừ": "-", "dash": "-", "hyphen": "-", "minus": "-", "-": "-",
    "plus": "+", "cộng": "+", "+": "+",
}  # fmt: skip
_MAIL_NAMES: Final = {
    "gờ meo": "gmail", "g meo": "gmail", "gờ mêu": "gmail", "ji meo": "gmail", "g mail": "gmail",
    "gê meo": "gmail", "da hu": "yahoo", "ya hu": "yahoo", "gia hu": "yahoo", "hot meo": "hotmail",
    "ao lúc": "outlook", "ai cờ lao": "icloud", "i cloud": "icloud", "vê nờ": "vn", "vi en": "vn",
    "vê en": "vn", "v n": "vn", "com": "com", "côm": "com", "cơm": "com", "nét": "net", "o rờ gờ": "org",
}  # fmt: skip
_MAIL_TOKEN = re.compile(r"[^\W_]+|[@._+-]")
# What stands before the address: nothing of it belongs to it.
_LEAD_IN = re.compile(r".*\b(?:là|is|it's|mail|email|địa chỉ|address)\b[\s:,]*", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(r"[a-z0-9][a-z0-9._+-]*@[a-z0-9-]+(?:\.[a-z0-9-]+)+")


def email_of(text: str, language: str) -> str:
    """Return the e-mail address that was dictated, in lower case, or "" if none can be made of the words.

    Accents are dropped; what stands before "is" or "là" is no part of it; a full stop behind it neither.
    """
    text = unicodedata.normalize("NFC", text).strip().rstrip(".!?")
    written = _ADDRESS.search(text.lower())
    if written:
        return written[0]
    head, at, tail = _split_at(text)
    if not at:
        return ""
    lead = _LEAD_IN.match(head)
    parts = _mail_parts(head[lead.end() :] if lead else head, language)
    address = f"{parts}@{_mail_parts(tail, language)}".strip(".")
    found = _ADDRESS.fullmatch(address)
    return found[0] if found else ""


_AT = re.compile(r"\s+(?:a còng|a còn|a móc|at|@)\s+", re.IGNORECASE)


def _split_at(text: str) -> tuple[str, str, str]:
    places = list(_AT.finditer(text))
    if not places:
        return text, "", ""
    last = places[-1]
    return text[: last.start()], last[0], text[last.end() :]


def _mail_parts(text: str, language: str) -> str:
    numbers = _VI if is_vietnamese(language) else _EN
    letters = _VI_LETTERS if is_vietnamese(language) else _EN_LETTERS
    tokens = _MAIL_TOKEN.findall(text.lower())
    out: list[str] = []
    spoken: list[str] = []
    at = 0
    while at < len(tokens):
        one = tokens[at]
        longest = next(
            (
                (n, known[phrase])
                for n in (3, 2, 1)
                for phrase in [" ".join(tokens[at : at + n])]
                for known in (_MAIL_NAMES, _MARKS)
                if phrase in known and at + n <= len(tokens)
            ),
            None,
        )
        is_number = one in numbers and numbers[one][0] not in (_POINT, _JOIN, _HALF)
        if one == "o" and not spoken and not (at + 1 < len(tokens) and tokens[at + 1] in numbers):
            is_number = False  # a letter among letters
        if longest is None and is_number:
            spoken.append(one)
            at += 1
            continue
        if spoken:
            out.append(digits_of("số " + " ".join(spoken), language))
            spoken.clear()
        if longest is not None:
            out.append(longest[1])
            at += longest[0]
        else:
            out.append(letters[one].lower() if one in letters and one not in ("em", "en") else _bare(one))
            at += 1
    if spoken:
        out.append(digits_of("số " + " ".join(spoken), language))
    return "".join(out)


def _bare(word: str) -> str:
    """Return a word without accents: "nguyễn" is "nguyen" in an address."""
    letters = unicodedata.normalize("NFD", word.replace("đ", "d").replace("Đ", "D"))
    return "".join(char for char in letters if not unicodedata.combining(char))


# And back

_GROUP: Final = 3
_SPELL_RUN = re.compile(r"\d+|[^\W\d_]|[@._+/#*-]")
_VI_SIGNS: Final = {
    "@": "a còng", ".": "chấm", "_": "gạch dưới", "-": "gạch ngang", "+": "cộng", "/": "gạch chéo",
    "#": "thăng", "*": "sao",
}  # fmt: skip
_EN_SIGNS: Final = {
    "@": "at", ".": "dot", "_": "underscore", "-": "dash", "+": "plus", "/": "slash", "#": "hash",
    "*": "star",
}  # fmt: skip


def spell(text: str, language: str) -> str:
    """Return a code as it is read back: letter by letter and digit by digit, long numbers in groups with a
    pause (a comma): "DH123456" is "đê hát, một hai ba, bốn năm sáu".
    """
    signs = _VI_SIGNS if is_vietnamese(language) else _EN_SIGNS
    groups: list[str] = []
    letters: list[str] = []
    for run in _SPELL_RUN.findall(text):
        if not run[0].isdecimal():
            letters.append(signs.get(run) or letter(run, language))
            continue
        if letters:
            groups.append(" ".join(letters))
            letters = []
        groups += [digit_by_digit(part, language) for part in grouped(run)]
    if letters:
        groups.append(" ".join(letters))
    return ", ".join(groups)


def grouped(digits: str) -> list[str]:
    """Return digits in groups as they are read out: of three, a first or last one of four or two.

    >>> grouped("0912345678"), grouped("12345"), grouped("1234")
    (['0912', '345', '678'], ['123', '45'], ['1234'])
    """
    if len(digits) <= _GROUP + 1:
        return [digits]
    first = _GROUP + 1 if len(digits) % _GROUP == 1 else _GROUP
    rest = digits[first:]
    return [digits[:first], *(rest[i : i + _GROUP] for i in range(0, len(rest), _GROUP))]
