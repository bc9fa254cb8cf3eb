"""Codes and e-mail addresses that a caller dictates, to writing; Vietnamese and English.

    code_of("mã là đê hát một hai ba", "vi")                        "DH123"
    email_of("nam chấm lê a còng gờ meo chấm com", "vi")            "nam.le@gmail.com"

The other way round: `spelling.py`. Numbers: `number_words.py`.
"""

import re
import unicodedata
from typing import Final

from voicegw.call.number_vocabulary import FILLERS, HALF, JOIN, ONLY_BEHIND_NUMBERS, POINT, words_for
from voicegw.call.number_words import digits_of
from voicegw.call.spoken_numbers import is_vietnamese

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
    numbers = words_for(language)
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
        is_number = low in numbers and numbers[low][0] != POINT and low not in ONLY_BEHIND_NUMBERS
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
        elif low in FILLERS or low in _CODE_FILLERS or not token.isalnum():
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
    numbers = words_for(language)
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
        is_number = one in numbers and numbers[one][0] not in (POINT, JOIN, HALF)
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
