"""The words that numbers are said with, Vietnamese and English: what kind each is, and its value.

Data for `number_words.py`, which reads them.
"""

from typing import Final

from voicegw.call.spoken_numbers import is_vietnamese

# Kinds of words.
DIGIT: Final = "digit"
TEEN: Final = "teen"
TEN: Final = "ten"  # twenty; in Vietnamese the word behind the digit: hai "mươi"
HUNDRED: Final = "hundred"
CLASS: Final = "class"  # thousand and more
JOIN: Final = "join"  # one hundred "and" five, một trăm "linh" năm
HALF: Final = "half"
POINT: Final = "point"
TIMES: Final = "times"  # double, triple
WRITTEN: Final = "written"  # digits in the transcript
COMMA: Final = "comma"
OTHER: Final = "other"


def _entries(kind: str, **values: int) -> dict[str, tuple[str, int]]:
    return {word.replace("_", " "): (kind, value) for word, value in values.items()}


_VIETNAMESE: Final = {
    **_entries(DIGIT, không=0, một=1, hai=2, ba=3, bốn=4, năm=5, sáu=6, bảy=7, tám=8, chín=9),
    # Forms behind a ten, and ways to write the same: bẩy, mốt, lăm.
    **_entries(DIGIT, mốt=1, tư=4, lăm=5, nhăm=5, bẩy=7, zero=0),
    **_entries(TEEN, mười=10),
    **_entries(TEN, mươi=10, chục=10),
    **_entries(HUNDRED, trăm=100),
    **_entries(CLASS, nghìn=1000, ngàn=1000, k=1000, triệu=10**6, tr=10**6, tỷ=10**9, tỉ=10**9),
    **_entries(JOIN, linh=0, lẻ=0),
    **_entries(HALF, rưỡi=0, rưởi=0),
    **_entries(POINT, phẩy=0),
}
_ENGLISH: Final = {
    **_entries(DIGIT, zero=0, oh=0, o=0, nought=0, naught=0, nil=0, one=1, two=2, three=3, four=4, five=5),
    **_entries(DIGIT, six=6, seven=7, eight=8, nine=9, niner=9),
    **_entries(TEEN, ten=10, eleven=11, twelve=12, thirteen=13, fourteen=14, fifteen=15, sixteen=16),
    **_entries(TEEN, seventeen=17, eighteen=18, nineteen=19),
    **_entries(TEN, twenty=20, thirty=30, forty=40, fourty=40, fifty=50, sixty=60, seventy=70, eighty=80),
    **_entries(TEN, ninety=90),
    **_entries(HUNDRED, hundred=100),
    **_entries(CLASS, thousand=1000, k=1000, million=10**6, billion=10**9),
    **_entries(JOIN, **{"and": 0}),
    **_entries(POINT, point=0),
    **_entries(TIMES, double=2, triple=3, treble=3),
}
# Only behind a number: "twenty k".
ONLY_BEHIND_NUMBERS: Final = frozenset({"k", "tr"})
# Words that are often no number: alone among other words they are not taken for one.
DOUBTFUL: Final = frozenset(
    {"không", "một", "hai", "ba", "năm", "tư", "tám", "chín", "linh", "mốt", "chục", "zero", "one", "o", "oh"}
)
# Behind these a doubtful word is a number all the same.
ANNOUNCES: Final = frozenset({"số", "phím", "là", "chọn", "number", "press", "option", "key", "is", "digit"})
# Behind "hai" or "ba" and before a digit: "ba số tám" is 888.
VI_TIMES: Final = frozenset({"số", "con"})
# Between numbers they change nothing.
FILLERS: Final = frozenset(
    {
        "rồi", "tiếp", "và", "dạ", "ạ", "à", "ừ", "ờ", "uh", "um", "then", "dash", "hyphen", "chấm", "gạch",
        "ngang",
    }
)  # fmt: skip


def words_for(language: str) -> dict[str, tuple[str, int]]:
    """Return the number words of a language, each with its kind and value."""
    return _VIETNAMESE if is_vietnamese(language) else _ENGLISH
